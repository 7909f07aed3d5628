#include "api/lxd_panel/instance_list.h"

#include <gtest/gtest.h>

namespace berth::api::lxd_panel {
namespace {

compute::InstancePointer make(std::string name, std::string status, std::string owner = "", double cpu = 0) {
  auto instance = std::make_shared<compute::Instance>();
  instance->description = name + " 20001 secret 30000 30025";
  instance->name = std::move(name);
  instance->engine_status = std::move(status);
  instance->owner = std::move(owner);
  instance->cpu_percent = cpu;
  return instance;
}

compute::SnapshotPointer snapshot_of(std::vector<compute::InstancePointer> instances, std::uint64_t revision = 1) {
  auto snapshot = std::make_shared<compute::InventorySnapshot>();
  snapshot->revision = revision;
  snapshot->structure_revision = revision;
  snapshot->instances = std::move(instances);
  return snapshot;
}

class InstanceListTest : public ::testing::Test {
 protected:
  InstanceListTest() {
    everything_.sees_all = true;
    anna_.owner = "anna";
  }
  /// The names in an answer, in order: "a b c".
  static std::string names(const std::string& body) {
    std::string out;
    const std::string mark = R"({"name":")";
    for (auto at = body.find(mark); at != std::string::npos; at = body.find(mark, at + 1)) {
      const auto begin = at + mark.size();
      out += (out.empty() ? "" : " ") + body.substr(begin, body.find('"', begin) - begin);
    }
    return out;
  }

  compute::SnapshotPointer three_ =
      snapshot_of({make("a", "Running", "anna", 1), make("b", "Stopped", "", 9), make("c", "Running", "anna", 5)});
  compute::Viewer everything_;
  compute::Viewer anna_;
  InstanceList list_;
};

TEST_F(InstanceListTest, HandsOutOneSharedBodyPerRevision) {
  const auto first = list_.whole(three_, everything_, Secrets::shown);
  EXPECT_EQ(first, list_.whole(three_, everything_, Secrets::shown));
  EXPECT_EQ(names(first->bytes()), "a b c");
  const auto later = snapshot_of({make("a", "Stopped")}, 2);
  EXPECT_EQ(names(list_.whole(later, everything_, Secrets::shown)->bytes()), "a");
}

TEST_F(InstanceListTest, KeepsItsBodyWhileOnlyCountersChange) {
  const auto first = list_.whole(three_, everything_, Secrets::shown);
  auto ticked = std::make_shared<compute::InventorySnapshot>(*three_);
  ticked->revision = 2;
  EXPECT_EQ(first, list_.whole(ticked, everything_, Secrets::shown));
}

TEST_F(InstanceListTest, ShowsAUserOnlyWhatItOwns) {
  EXPECT_EQ(names(list_.whole(three_, anna_, Secrets::shown)->bytes()), "a c");
  EXPECT_EQ(list_.page(three_, anna_, Secrets::shown, {}).total, 2U);
}

TEST_F(InstanceListTest, ShowsNothingToAViewerWhoOwnsNothing) {
  compute::Viewer nobody;
  EXPECT_EQ(list_.whole(three_, nobody, Secrets::shown)->bytes(), "[]");
  nobody.owner = "bert";
  EXPECT_EQ(list_.page(three_, nobody, Secrets::shown, {}).body, "[]");
}

TEST_F(InstanceListTest, HidesPasswordsInDescriptions) {
  EXPECT_EQ(list_.whole(three_, everything_, Secrets::hidden)->bytes().find("secret"), std::string::npos);
  EXPECT_NE(list_.whole(three_, everything_, Secrets::shown)->bytes().find("secret"), std::string::npos);
}

TEST_F(InstanceListTest, CutsPages) {
  ListQuery query;
  query.limit = 1;
  query.offset = 1;
  EXPECT_EQ(names(list_.page(three_, everything_, Secrets::shown, query).body), "b");
  EXPECT_EQ(names(list_.page(three_, anna_, Secrets::shown, query).body), "c");
  query.offset = 99;
  EXPECT_EQ(list_.page(three_, everything_, Secrets::shown, query).body, "[]");
}

TEST_F(InstanceListTest, FiltersByStatusWithoutRegardToCase) {
  ListQuery query;
  query.status = "running";
  EXPECT_EQ(names(list_.page(three_, everything_, Secrets::shown, query).body), "a c");
}

TEST_F(InstanceListTest, SearchesNamesButNeverPasswords) {
  ListQuery query;
  query.search = "B";
  EXPECT_EQ(names(list_.page(three_, everything_, Secrets::shown, query).body), "b");
  query.search = "secr";
  EXPECT_EQ(list_.page(three_, everything_, Secrets::shown, query).total, 0U);
}

TEST_F(InstanceListTest, SortsByTheNewestCounters) {
  ListQuery query;
  query.sort = "-cpu";
  EXPECT_EQ(names(list_.page(three_, everything_, Secrets::shown, query).body), "b c a");
  query.sort = "-name";
  EXPECT_EQ(names(list_.page(three_, everything_, Secrets::shown, query).body), "c b a");
}

TEST(FragmentsTest, EncodesOnlyWhatChanged) {
  const auto encode = [](const compute::Instance& instance) { return instance.name + instance.engine_status; };
  const auto a = make("a", "Running");
  const auto b = make("b", "Running");
  const Fragments before(snapshot_of({a, b}), {}, encode, same_info);
  EXPECT_EQ(before.encoded(), 2U);
  const Fragments after(snapshot_of({a, make("aa", "Stopped"), make("b", "Running")}, 2), before, encode, same_info);
  EXPECT_EQ(after.encoded(), 1U);
  EXPECT_EQ(*after.texts()[1], "aaStopped");
  EXPECT_EQ(after.texts()[2], before.texts()[1]);
}

}  // namespace
}  // namespace berth::api::lxd_panel
