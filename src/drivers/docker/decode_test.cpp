#include "drivers/docker/decode.h"

#include <gtest/gtest.h>

#include "drivers/docker/event_stream.h"
#include "drivers/docker/frames.h"
#include "drivers/docker/images.h"
#include "drivers/docker/line_reader.h"

namespace berth::drivers::docker {
namespace {

using compute::EngineEvent;
using compute::Status;

json::Document parse(std::string_view text) {
  auto document = json::Document::parse(text);
  EXPECT_TRUE(document) << text;
  return std::move(*document);
}

// ---- containers

TEST(DecodeContainer, ReadsAnEntryOfTheList) {
  const auto document = parse(R"({"Id":"ce21","Names":["/other/alias","/web"],"Image":"busy","Created":1795249744,
    "Labels":{"berth.owner":"o","berth.description":"d"},"State":"running",
    "NetworkSettings":{"Networks":{"a":{"IPAddress":""},"b":{"IPAddress":"192.0.2.5","GlobalIPv6Address":"2001:db8::5"}}}})");
  const auto instance = decode_listed(document.root());
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->name, "web");
  EXPECT_EQ(instance->engine_id, "ce21");
  EXPECT_EQ(instance->status, Status::running);
  EXPECT_EQ(instance->engine_status, "running");
  EXPECT_EQ(instance->ipv4, "192.0.2.5");
  EXPECT_EQ(instance->ipv6, "2001:db8::5");
  EXPECT_EQ(instance->owner, "o");
  EXPECT_EQ(instance->description, "d");
}

TEST(DecodeContainer, KnowsTheWordsOfBothEngines) {
  EXPECT_EQ(decode_status("created"), Status::stopped);
  EXPECT_EQ(decode_status("exited"), Status::stopped);
  EXPECT_EQ(decode_status("configured"), Status::stopped);
  EXPECT_EQ(decode_status("paused"), Status::frozen);
  EXPECT_EQ(decode_status("restarting"), Status::restarting);
  EXPECT_EQ(decode_status("removing"), Status::stopping);
  EXPECT_EQ(decode_status("dead"), Status::error);
  EXPECT_EQ(decode_status("?"), Status::error);
}

TEST(DecodeContainer, RefusesWhatIsNone) {
  for (const char* text : {"null", "{}", R"({"Id":""})", R"({"Names":["/a"]})", "[]"}) {
    EXPECT_FALSE(decode_listed(parse(text).root())) << text;
    EXPECT_FALSE(decode_inspected(parse(text).root())) << text;
  }
}

// ---- counters

TEST(DecodeCounters, LeavesOutMemoryThatTheKernelOnlyKeepsBecauseItCan) {
  const auto memory = [](std::string_view text) { return decode_counters(parse(text).root()).memory_bytes; };
  EXPECT_EQ(memory(R"({"memory_stats":{"usage":1000,"stats":{"total_inactive_file":300,"inactive_file":1}}})"), 700u);
  EXPECT_EQ(memory(R"({"memory_stats":{"usage":1000,"stats":{"inactive_file":400}}})"), 600u);
  EXPECT_EQ(memory(R"({"memory_stats":{"usage":1000,"stats":{"inactive_file":4000}}})"), 1000u);
  EXPECT_EQ(memory(R"({"memory_stats":{"usage":1000}})"), 1000u);
  EXPECT_EQ(memory(R"({"memory_stats":{}})"), 0u);
}

TEST(DecodeCounters, AddsUpTheNetworksButTheLoopback) {
  const auto counters = decode_counters(parse(R"({"cpu_stats":{"cpu_usage":{"total_usage":19887547}},
    "networks":{"lo":{"rx_bytes":1,"tx_bytes":1},"eth0":{"rx_bytes":10,"tx_bytes":20},"eth1":{"rx_bytes":5,"tx_bytes":6}}})")
                                            .root());
  EXPECT_EQ(counters.cpu_ns, 19887547u);
  EXPECT_EQ(counters.network_received_bytes, 15u);
  EXPECT_EQ(counters.network_sent_bytes, 26u);
  EXPECT_FALSE(has_counters(parse("{}").root()));
}

// ---- events

std::optional<ContainerEvent> event(std::string_view action, std::string_view more = "") {
  return decode_event(R"({"Type":"container","Action":")" + std::string(action) +
                      R"(","Actor":{"ID":"ce21","Attributes":{"name":"web")" + std::string(more) + "}}}");
}

TEST(DecodeEvent, SaysWhichContainerChanged) {
  for (const char* action :
       {"create", "start", "die", "stop", "restart", "pause", "unpause", "update", "oom", "kill"}) {
    const auto decoded = event(action);
    ASSERT_TRUE(decoded) << action;
    EXPECT_EQ(decoded->event.kind, EngineEvent::Kind::changed);
    EXPECT_EQ(decoded->event.instance, "web");
    EXPECT_EQ(decoded->id, "ce21");
  }
  EXPECT_EQ(event("destroy")->event.kind, EngineEvent::Kind::removed);
}

TEST(DecodeEvent, SaysWhichIsRenamed) {
  const auto renamed = event("rename", R"(,"oldName":"/old")");
  ASSERT_TRUE(renamed);
  EXPECT_EQ(renamed->event.kind, EngineEvent::Kind::renamed);
  EXPECT_EQ(renamed->event.instance, "old");
  EXPECT_EQ(renamed->event.new_name, "web");
}

TEST(DecodeEvent, LeavesOutWhatChangesNothing) {
  for (const char* action : {"exec_create: sh", "exec_start: sh", "exec_die", "attach", "resize", "top", "export",
                             "archive-path", "health_status: healthy"}) {
    EXPECT_FALSE(event(action)) << action;
  }
}

TEST(DecodeEvent, LivesWithGarbage) {
  for (const char* text : {"", "x", "[]", "{}", R"({"Type":"container"})", R"({"Type":"network","Action":"create"})",
                           R"({"Type":"container","Action":5,"Actor":[]})"}) {
    EXPECT_FALSE(decode_event(text)) << text;
  }
}

// ---- streams

std::string frame(char stream, std::string_view text) {
  std::string bytes{
      stream, 0, 0, 0, 0, 0, static_cast<char>(text.size() >> 8U), static_cast<char>(text.size() & 0xffU)};
  return bytes + std::string(text);
}

TEST(Frames, ArePartedHoweverTheyArrive) {
  const std::string long_text(700, 'x');
  const std::string bytes = frame(1, "out\n") + frame(2, "err\n") + frame(1, "") + frame(1, long_text);
  for (const std::size_t step : {1UL, 3UL, 8UL, 100UL, bytes.size()}) {
    FrameReader reader(false);
    std::string out;
    std::string error;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      EXPECT_TRUE(reader.feed(std::string_view(bytes).substr(at, step), [&](auto stream, std::string_view part) {
        (stream == FrameReader::Stream::standard_error ? error : out) += part;
      }));
    }
    EXPECT_EQ(out, "out\n" + long_text) << step;
    EXPECT_EQ(error, "err\n") << step;
  }
}

TEST(Frames, OfATerminalAreItsBytes) {
  FrameReader reader(true);
  std::string out;
  EXPECT_TRUE(reader.feed("\x01\x02raw", [&](auto, std::string_view part) { out += part; }));
  EXPECT_EQ(out, "\x01\x02raw");
}

TEST(Frames, ThatAreNoneEndTheReading) {
  FrameReader reader(false);
  std::string out;
  const auto take = [&](auto, std::string_view part) { out += part; };
  EXPECT_FALSE(reader.feed("HTTP/1.1 200 OK", take));
  EXPECT_FALSE(reader.feed(frame(1, "later"), take));
  EXPECT_EQ(out, "");
}

TEST(Lines, ArePartedHoweverTheyArrive) {
  LineSplitter splitter;
  std::vector<std::string> lines;
  const auto take = [&](std::string_view line) { lines.emplace_back(line); };
  for (const char c : std::string("one\n\ntwo\nthr")) splitter.feed(std::string_view(&c, 1), take);
  splitter.feed(std::string(3UL << 20U, 'x') + "\nfour\n", take);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "four"}));
}

// ---- images

TEST(SplitReference, GivesDockerItsTwoHalves) {
  using Halves = std::pair<std::string, std::string>;
  EXPECT_EQ(split_reference("nginx"), (Halves{"nginx", "latest"}));
  EXPECT_EQ(split_reference("nginx:1.2"), (Halves{"nginx", "1.2"}));
  EXPECT_EQ(split_reference("localhost:5000/a/b"), (Halves{"localhost:5000/a/b", "latest"}));
  EXPECT_EQ(split_reference("localhost:5000/a/b:x"), (Halves{"localhost:5000/a/b", "x"}));
  EXPECT_EQ(split_reference("a:1@sha256:abc"), (Halves{"a", "sha256:abc"}));
}

TEST(PullProgress, CountsTheBytesOfAllLayersAndNeverGoesBack) {
  PullProgress progress;
  EXPECT_EQ(progress.percent(), 0);
  EXPECT_FALSE(progress.take(R"({"status":"Pulling from x","id":"latest"})"));
  progress.take(R"({"status":"Downloading","progressDetail":{"current":50,"total":100},"id":"a"})");
  EXPECT_EQ(progress.percent(), 25);
  progress.take(R"({"status":"Downloading","progressDetail":{"current":0,"total":100},"id":"b"})");
  EXPECT_EQ(progress.percent(), 25);
  progress.take(R"({"status":"Extracting","progressDetail":{"current":100,"total":100},"id":"a"})");
  EXPECT_EQ(progress.stage(), "extract");
  EXPECT_EQ(progress.percent(), 50);
  progress.take(R"({"status":"Download complete","id":"b"})");
  progress.take(R"({"status":"Pull complete","id":"a"})");
  progress.take(R"({"status":"Pull complete","id":"b"})");
  EXPECT_EQ(progress.percent(), 100);
}

TEST(PullProgress, PassesOnTheEnginesReason) {
  PullProgress progress;
  EXPECT_EQ(progress.take(R"({"errorDetail":{"message":"no space"},"error":"x"})"), "no space");
  EXPECT_EQ(progress.take(R"({"error":"broken"})"), "broken");
  EXPECT_FALSE(progress.take("garbage"));
}

}  // namespace
}  // namespace berth::drivers::docker
