#include "http/router.h"

#include <gtest/gtest.h>

namespace berth::http {
namespace {

using Kind = Router::Match::Kind;

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    declare(Method::get, "/", 0);
    declare(Method::get, "/api/instances", 1);
    declare(Method::post, "/api/instances", 2);
    declare(Method::get, "/api/instances/{name}", 3);
    declare(Method::delete_, "/api/instances/{name}", 4);
    declare(Method::post, "/api/instances/actions", 5);
    declare(Method::post, "/api/instances/{name}/start", 6);
  }
  void declare(Method method, std::string_view pattern, std::size_t route) {
    const auto added = router_.add(method, pattern, route);
    ASSERT_TRUE(added) << added.error().describe();
  }
  Router router_;
};

TEST_F(RouterTest, FindsLiteralRoutes) {
  EXPECT_EQ(router_.find(Method::get, "/").route, 0U);
  EXPECT_EQ(router_.find(Method::get, "/api/instances").route, 1U);
  EXPECT_EQ(router_.find(Method::post, "/api/instances").route, 2U);
}

TEST_F(RouterTest, GivesTheDecodedValueOfANamedSegment) {
  const auto match = router_.find(Method::get, "/api/instances/%E6%B5%8B%2F1");
  ASSERT_EQ(match.kind, Kind::found);
  EXPECT_EQ(match.route, 3U);
  ASSERT_EQ(match.values.size(), 1U);
  EXPECT_EQ(match.values[0].first, "name");
  EXPECT_EQ(match.values[0].second, "测/1");
}

TEST_F(RouterTest, PrefersALiteralOverAName) {
  EXPECT_EQ(router_.find(Method::post, "/api/instances/actions").route, 5U);
}

TEST_F(RouterTest, TakesALiteralAsANameWhereOnlyTheNameHasTheMethod) {
  const auto match = router_.find(Method::get, "/api/instances/actions");
  ASSERT_EQ(match.kind, Kind::found);
  EXPECT_EQ(match.route, 3U);
  EXPECT_EQ(match.values[0].second, "actions");
}

TEST_F(RouterTest, AnswersHeadLikeGet) {
  EXPECT_EQ(router_.find(Method::head, "/api/instances").route, 1U);
}

TEST_F(RouterTest, NamesTheMethodsOfAPathThatLacksTheOneAskedFor) {
  const auto match = router_.find(Method::put, "/api/instances/a");
  EXPECT_EQ(match.kind, Kind::wrong_method);
  EXPECT_EQ(match.allow, "GET, HEAD, DELETE, OPTIONS");
}

TEST_F(RouterTest, KnowsNoOtherPath) {
  for (const std::string_view path :
       {"", "api", "/api", "/api/instances/", "/api/instances/a/b", "//", "/api//instances"}) {
    EXPECT_EQ(router_.find(Method::get, path).kind, Kind::unknown) << path;
  }
}

TEST_F(RouterTest, RefusesBrokenEncoding) {
  for (const std::string_view path :
       {"/api/instances/%", "/api/instances/%4", "/api/instances/%zz", "/api/instances/%00", "/api/instances/%ff"}) {
    EXPECT_EQ(router_.find(Method::get, path).kind, Kind::malformed) << path;
  }
}

TEST_F(RouterTest, RefusesADuplicate) {
  const auto added = router_.add(Method::get, "/api/instances/{name}", 9);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().reason(), "route.duplicate");
}

TEST_F(RouterTest, RefusesTwoNamesForOnePlace) {
  const auto added = router_.add(Method::put, "/api/instances/{id}", 9);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().reason(), "route.name_clash");
}

}  // namespace
}  // namespace berth::http
