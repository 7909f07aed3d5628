#include "drivers/lxd/event_stream.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace berth::drivers::lxd {
namespace {

using compute::EngineEvent;

std::vector<EngineEvent> decode(std::string_view action, std::string_view source, std::string_view context = "{}",
                                std::string_view project = "default") {
  return decode_event(
      fmt::format(
          R"({{"type":"lifecycle","project":"default","metadata":{{"action":"{}","source":"{}","context":{}}}}})",
          action, source, context),
      project);
}

void expect_one(const std::vector<EngineEvent>& events, EngineEvent::Kind kind, std::string_view instance) {
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events.front().kind, kind);
  EXPECT_EQ(events.front().instance, instance);
}

TEST(DecodeEvent, SaysWhichInstanceChanged) {
  for (const char* action :
       {"instance-created", "instance-started", "instance-stopped", "instance-shutdown", "instance-restarted",
        "instance-paused", "instance-resumed", "instance-updated", "instance-restored"}) {
    expect_one(decode(action, "/1.0/instances/web"), EngineEvent::Kind::changed, "web");
  }
  expect_one(decode("instance-snapshot-created", "/1.0/instances/web/snapshots/s1"), EngineEvent::Kind::changed, "web");
  expect_one(decode("instance-snapshot-deleted", "/1.0/instances/web/snapshots/s1"), EngineEvent::Kind::changed, "web");
  expect_one(decode("instance-snapshot-renamed", "/1.0/instances/web/snapshots/s2", R"({"old_name":"s1"})"),
             EngineEvent::Kind::changed, "web");
  expect_one(decode("instance-started", "/1.0/instances/web?project=default"), EngineEvent::Kind::changed, "web");
  expect_one(decode("container-started", "/1.0/containers/web"), EngineEvent::Kind::changed, "web");
}

TEST(DecodeEvent, SaysWhichIsGoneAndWhichIsRenamed) {
  expect_one(decode("instance-deleted", "/1.0/instances/web"), EngineEvent::Kind::removed, "web");
  const auto renamed = decode("instance-renamed", "/1.0/instances/new", R"({"old_name":"old"})");
  expect_one(renamed, EngineEvent::Kind::renamed, "old");
  EXPECT_EQ(renamed.front().new_name, "new");
}

TEST(DecodeEvent, LeavesOutWhatChangesNothing) {
  EXPECT_TRUE(decode("instance-exec", "/1.0/instances/web").empty());
  EXPECT_TRUE(decode("instance-console", "/1.0/instances/web").empty());
  EXPECT_TRUE(decode("image-created", "/1.0/images/7ce2").empty());
  EXPECT_TRUE(decode("instance-started", "/1.0/instances/web", "{}", "other").empty());
}

TEST(DecodeEvent, TellsTheEndOfAnOperationForEachOfItsInstances) {
  const auto operation = [](const char* kind, int status) {
    return decode_event(
        fmt::format(R"({{"type":"operation","project":"default","metadata":{{"class":"{}","status_code":{},
      "resources":{{"instances":["/1.0/instances/a","/1.0/instances/b"]}}}}}})",
                    kind, status),
        "default");
  };
  EXPECT_EQ(operation("task", 200).size(), 2u);
  EXPECT_EQ(operation("task", 400).size(), 2u);
  EXPECT_TRUE(operation("task", 103).empty());
  EXPECT_TRUE(operation("websocket", 200).empty());
}

TEST(DecodeEvent, LivesWithGarbage) {
  for (const char* text :
       {"", "x", "[]", "{}", "null", R"({"type":"lifecycle"})", R"({"type":5,"metadata":5})",
        R"({"type":"lifecycle","metadata":{"action":"instance-started","source":"/1.0/instances/"}})",
        R"({"type":"lifecycle","metadata":{"action":"instance-started","source":"/1.0/instances/%zz"}})",
        R"({"type":"operation","metadata":{"class":"task","status_code":200,"resources":null}})"}) {
    EXPECT_TRUE(decode_event(text, "default").empty()) << text;
  }
}

}  // namespace
}  // namespace berth::drivers::lxd
