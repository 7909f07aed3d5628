#include "rental/acl_links.h"

#include <gtest/gtest.h>

namespace berth::rental {
namespace {

class AclLinksTest : public ::testing::Test {
 protected:
  std::string asked(const std::string& file, std::int64_t expires, const std::string& signature) {
    const auto checked = links_.check(file, expires, signature);
    return checked ? "user " + std::to_string(checked->value()) : std::string(checked.error().reason());
  }
  ManualClock clock_{Timestamp(std::chrono::seconds(1'800'000'000))};
  AclLinks links_{Secret(std::string(32, 'k')), clock_};
};

TEST_F(AclLinksTest, ALinkNamesItsUserUntilItExpires) {
  const AclLink link = links_.sign(UserId(123));
  EXPECT_EQ(link.file, "acl-123.json");
  EXPECT_EQ(link.expires, 1'800'000'600);
  clock_.advance(std::chrono::seconds(599));
  EXPECT_EQ(asked(link.file, link.expires, link.signature), "user 123");
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(asked(link.file, link.expires, link.signature), "acl.link_expired");
}

TEST_F(AclLinksTest, NothingOfALinkCanBeChanged) {
  const AclLink link = links_.sign(UserId(123));
  EXPECT_EQ(asked("acl-124.json", link.expires, link.signature), "acl.link_invalid");
  EXPECT_EQ(asked(link.file, link.expires + 1, link.signature), "acl.link_invalid");
  EXPECT_EQ(asked(link.file, -link.expires, link.signature), "acl.link_invalid");
  EXPECT_EQ(asked(link.file, link.expires, ""), "acl.link_invalid");
  EXPECT_EQ(asked(link.file, link.expires, link.signature + "A"), "acl.link_invalid");
  EXPECT_EQ(asked(link.file, link.expires, link.signature.substr(1)), "acl.link_invalid");
  std::string flipped = link.signature;
  flipped[5] = flipped[5] == 'A' ? 'B' : 'A';
  EXPECT_EQ(asked(link.file, link.expires, flipped), "acl.link_invalid");
  for (const auto* file : {"acl-0.json", "acl--1.json", "acl-.json", "../acl-123.json", "acl-123.json\n", ""}) {
    EXPECT_EQ(asked(file, link.expires, link.signature), "acl.link_invalid") << file;
  }
}

TEST_F(AclLinksTest, AnotherKeyMakesOtherLinks) {
  const AclLink link = AclLinks(Secret(std::string(32, 'x')), clock_).sign(UserId(123));
  EXPECT_EQ(asked(link.file, link.expires, link.signature), "acl.link_invalid");
}

}  // namespace
}  // namespace berth::rental
