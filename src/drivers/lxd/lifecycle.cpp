#include "drivers/lxd/lifecycle.h"

#include <algorithm>

#include "drivers/lxd/decode.h"
#include "drivers/lxd/request_body.h"
#include "json/write.h"

namespace berth::drivers::lxd {
namespace {

using compute::EngineProgress;
using compute::Status;

// Left for force after a guest was asked to end, and for answers on the way.
constexpr std::chrono::seconds kForceTime{5};

bool is_gone(const Result<void>& outcome) {
  return !outcome && outcome.error().reason() == "engine.operation_gone";
}

Result<Status> read_status(Api& api, const std::string& name, Deadline deadline) {
  const Answer answer = BERTH_TRY(api.get(instance_path(name) + "/state", Subject::of_instance(name), deadline));
  return parse_status(answer.metadata()["status"].string().value_or(""));
}

Result<void> change_state(Api& api, const std::string& name, const Body& body, const EngineProgress& progress,
                          const FollowSteps& steps, Deadline deadline) {
  const Subject subject = Subject::of_instance(name);
  const Answer started =
      BERTH_TRY(api.call(http::Method::put, instance_path(name) + "/state", json::to_json(body), subject, deadline));
  return follow(api, started, subject, progress, steps, deadline);
}

/// Success if the instance is in the state that was wanted, else `otherwise`.
Result<void> settle(Api& api, const std::string& name, Status wanted, Result<void> otherwise, Deadline deadline) {
  const Status status = BERTH_TRY(read_status(api, name, deadline));
  if (status == wanted) return {};
  return otherwise;
}

Body forced(std::string action) {
  return {{"action", std::move(action)}, {"force", true}};
}

/// How long the guest may take, so that there is time for force before the deadline.
std::int64_t grace_seconds(std::chrono::seconds grace, Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(deadline.remaining()) - kForceTime;
  return std::max<std::int64_t>(1, std::min(grace, left).count());
}

Body graceful(std::string action, std::chrono::seconds grace, Deadline deadline) {
  return {{"action", std::move(action)}, {"force", false}, {"timeout", grace_seconds(grace, deadline)}};
}

/// Whether force may help: not when the engine is away, the time is over or the instance is none.
bool may_be_forced(const Result<void>& outcome) {
  if (outcome) return false;
  switch (outcome.error().code()) {
    case ErrorCode::invalid_argument:
    case ErrorCode::internal:
    case ErrorCode::conflict:
      return outcome.error().reason() != "engine.protocol";
    default:
      return false;
  }
}

}  // namespace

Result<void> start_instance(Api& api, const std::string& name, const EngineProgress& progress, const FollowSteps& steps,
                            Deadline deadline) {
  auto outcome = change_state(api, name, {{"action", "start"}}, progress, steps, deadline);
  if (is_gone(outcome)) return settle(api, name, Status::running, std::move(outcome), deadline);
  if (outcome || outcome.error().reason() != "instance.state") return outcome;
  switch (BERTH_TRY(read_status(api, name, deadline))) {
    case Status::running:
      return {};
    case Status::frozen:
      return change_state(api, name, {{"action", "unfreeze"}}, progress, steps, deadline);
    default:
      return outcome;
  }
}

Result<void> stop_instance(Api& api, const std::string& name, std::chrono::seconds grace,
                           const EngineProgress& progress, Deadline deadline) {
  Result<void> outcome;
  if (grace.count() > 0) {
    outcome = change_state(api, name, graceful("stop", grace, deadline), progress, {0, 80, "stop"}, deadline);
    if (is_gone(outcome)) outcome = settle(api, name, Status::stopped, std::move(outcome), deadline);
    if (outcome || says_already_stopped(outcome.error())) return {};
    if (!may_be_forced(outcome)) return outcome;
  }
  outcome = change_state(api, name, forced("stop"), progress, {80, 100, "stop"}, deadline);
  if (is_gone(outcome)) return settle(api, name, Status::stopped, std::move(outcome), deadline);
  if (!outcome && says_already_stopped(outcome.error())) return {};
  return outcome;
}

Result<void> restart_instance(Api& api, const std::string& name, std::chrono::seconds grace,
                              const EngineProgress& progress, Deadline deadline) {
  Result<void> outcome;
  if (grace.count() > 0) {
    outcome = change_state(api, name, graceful("restart", grace, deadline), progress, {0, 80, "restart"}, deadline);
    if (outcome || says_already_stopped(outcome.error()) || !may_be_forced(outcome)) return outcome;
  }
  outcome = change_state(api, name, forced("restart"), progress, {80, 100, "restart"}, deadline);
  if (outcome || !says_already_stopped(outcome.error()) || grace.count() == 0) return outcome;
  // It ended just after its grace: all that is left is to start it.
  return start_instance(api, name, progress, {80, 100, "start"}, deadline);
}

Result<void> remove_instance(Api& api, const std::string& name, const EngineProgress& progress, Deadline deadline) {
  const Subject subject = Subject::of_instance(name);
  auto outcome = [&]() -> Result<void> {
    const Answer started = BERTH_TRY(api.call(http::Method::delete_, instance_path(name), {}, subject, deadline));
    return follow(api, started, subject, progress, {.stage = "remove"}, deadline);
  }();
  if (!outcome && outcome.error().reason() == "instance.not_found") return {};
  if (!is_gone(outcome)) return outcome;
  const auto status = read_status(api, name, deadline);
  if (!status && status.error().code() == ErrorCode::not_found) return {};
  return outcome;
}

Result<void> rename_instance(Api& api, const std::string& name, const std::string& new_name, Deadline deadline) {
  const Status status = BERTH_TRY(read_status(api, name, deadline));
  if (status != Status::stopped) {
    return Error(ErrorCode::conflict, "instance.state",
                 {"实例正在运行，停止后才能改名", "A running instance cannot be renamed; stop it first"});
  }
  // A name that is taken is the new one; the old one is known to exist.
  const Subject subject = Subject::of_instance(new_name);
  const Body body{{"name", new_name}};
  const Answer started =
      BERTH_TRY(api.call(http::Method::post, instance_path(name), json::to_json(body), subject, deadline));
  auto outcome = follow(api, started, subject, {}, {.stage = "rename"}, deadline);
  if (is_gone(outcome)) return settle(api, new_name, Status::stopped, std::move(outcome), deadline);
  return outcome;
}

}  // namespace berth::drivers::lxd
