#include "drivers/lxd/operation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/encoding.h"

namespace berth::drivers::lxd {
namespace {

constexpr std::chrono::seconds kSlice{1};

std::string operation_path(const std::string& id) {
  return "/operations/" + http::percent_encode(id);
}

/// 200 succeeded, 400 failed, 401 cancelled; anything below means that it still goes on.
constexpr std::int64_t kSucceeded = 200;
constexpr std::int64_t kCancelled = 401;

struct Step {
  std::optional<int> percent;
  std::string stage;
};

std::optional<int> parse_int(std::string_view text) {
  int value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end == text.data() || value < 0 || value > 100) return std::nullopt;
  return value;
}

/// LXD and Incus report either {"progress":{"percent","stage"}} or only words ("x_progress": "Unpack: 45% (…)").
Step read_step(json::View metadata) {
  Step step;
  const json::View progress = metadata["progress"];
  step.percent = parse_int(progress["percent"].string().value_or(""));
  step.stage = progress["stage"].string_or("");
  if (step.percent || !step.stage.empty()) return step;
  for (const auto& member : metadata.members()) {
    if (!member.key.ends_with("_progress")) continue;
    const std::string_view words = member.value.string().value_or("");
    if (words.empty()) continue;
    step.stage = member.key.substr(0, member.key.size() - std::string_view("_progress").size());
    const std::size_t percent = words.find('%');
    if (percent == std::string_view::npos) continue;
    const std::size_t start = words.find_last_not_of("0123456789", percent == 0 ? 0 : percent - 1);
    step.percent = parse_int(words.substr(start == std::string_view::npos ? 0 : start + 1));
  }
  return step;
}

class Follower {
 public:
  Follower(Api& api, std::string id, const compute::EngineProgress& progress, const FollowSteps& steps)
      : api_(api), id_(std::move(id)), progress_(progress), steps_(steps) {}

  Result<void> run(const Subject& subject, Deadline deadline) {
    const Subject self = Subject::of_operation(id_);
    while (true) {
      ask_to_cancel(deadline);
      const std::string path = fmt::format("{}/wait?timeout={}", operation_path(id_), kSlice.count());
      const Answer answer = BERTH_TRY(api_.get(path, self, deadline));
      const json::View state = answer.metadata();
      const auto code = state["status_code"].integer();
      if (!code) return nonsense("an operation without status_code");
      if (*code == kSucceeded) return {};
      if (*code == kCancelled) return cancelled();
      if (*code > kSucceeded) return translate(*code, state["err"].string().value_or(""), subject);
      report(state);
      if (deadline.expired()) return timeout();
    }
  }

 private:
  static Error timeout() {
    return Error(ErrorCode::deadline_exceeded, "engine.timeout",
                 {"引擎未在限定时间内完成操作", "The engine did not finish in time"});
  }

  void report(json::View state) {
    const Step step = read_step(state["metadata"]);
    may_cancel_ = state["may_cancel"].boolean().value_or(false);
    if (step.percent) percent_ = std::max(percent_, *step.percent);
    const std::string stage = step.stage.empty() ? steps_.stage : step.stage;
    const int scaled = steps_.from + (steps_.to - steps_.from) * percent_ / 100;
    progress_.report(scaled, stage);
  }

  /// Work that the engine cannot end goes on to its end; what came of it is then true.
  void ask_to_cancel(Deadline deadline) {
    if (cancel_asked_ || !may_cancel_ || !progress_.cancelled()) return;
    cancel_asked_ = true;
    const auto ignored =
        api_.call(http::Method::delete_, operation_path(id_), {}, Subject::of_operation(id_), deadline);
    static_cast<void>(ignored);
  }

  Api& api_;
  const std::string id_;
  const compute::EngineProgress& progress_;
  const FollowSteps& steps_;
  int percent_ = 0;
  bool may_cancel_ = false;
  bool cancel_asked_ = false;
};

}  // namespace

Result<void> follow(Api& api, const std::string& operation, const Subject& subject,
                    const compute::EngineProgress& progress, const FollowSteps& steps, Deadline deadline) {
  if (auto adopted = progress.adopt(operation); !adopted) {
    // What nobody could record must not go on unseen: it is ended where it can be, and waited for.
    compute::EngineProgress ending;
    ending.cancelled = [] { return true; };
    static_cast<void>(Follower(api, operation, ending, steps).run(subject, deadline));
    return adopted;
  }
  progress.report(steps.from, steps.stage);
  BERTH_CHECK(Follower(api, operation, progress, steps).run(subject, deadline));
  progress.report(steps.to, steps.stage);
  return {};
}

Result<void> follow(Api& api, const Answer& answer, const Subject& subject, const compute::EngineProgress& progress,
                    const FollowSteps& steps, Deadline deadline) {
  const std::string operation = answer.operation();
  if (operation.empty()) return {};
  return follow(api, operation, subject, progress, steps, deadline);
}

Result<bool> is_running(Api& api, const std::string& operation, Deadline deadline) {
  if (!is_uuid(operation)) return false;
  auto answer = api.get(operation_path(operation), Subject::of_operation(operation), deadline);
  if (!answer) {
    if (answer.error().code() == ErrorCode::not_found) return false;
    return take_error(answer);
  }
  const auto code = answer->metadata()["status_code"].integer();
  if (!code) return nonsense("an operation without status_code");
  return *code < kSucceeded;
}

}  // namespace berth::drivers::lxd
