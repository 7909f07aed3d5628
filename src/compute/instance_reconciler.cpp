#include <algorithm>
#include <cmath>
#include <utility>

#include "compute/instance_input.h"
#include "compute/instance_service.h"
#include "json/read.h"

namespace berth::compute {
namespace {

using operations::State;
using operations::Verdict;

Verdict succeeded() {
  return {State::succeeded, "null", std::nullopt};
}
Verdict ask_again() {
  return {State::running, "null", std::nullopt};
}

Verdict failed(const Error& error) {
  return {State::failed, "null", operations::to_failure(error)};
}

Verdict interrupted() {
  return failed(Error(ErrorCode::unavailable, "operation.interrupted",
                      {"操作因服务中断未能完成，请检查后重试",
                       "The operation was interrupted before it was complete; check and try again"}));
}

Verdict done_if(bool done) {
  return done ? succeeded() : interrupted();
}

bool no_answer(const Error& error) {
  return error.code() == ErrorCode::unavailable || error.code() == ErrorCode::deadline_exceeded;
}

/// Whether what is wished, if it is mentioned, is what there is.
template <class T>
bool met(const std::optional<std::optional<T>>& wish, const std::optional<T>& is) {
  return !wish || *wish == is;
}

bool met(const std::optional<std::optional<double>>& wish, const std::optional<double>& is) {
  if (!wish) return true;
  if (!*wish || !is) return wish->has_value() == is.has_value();
  return std::abs(**wish - *is) < 0.01;  // engines keep hundredths of a core
}

Verdict judge_lifecycle(const std::string& kind, const InstancePointer& found, const std::string& name) {
  if (kind == "instance.delete") return done_if(found == nullptr);
  if (found == nullptr) return failed(instance_not_found(name));
  const Status status = found->status;
  if (status == Status::starting || status == Status::stopping || status == Status::restarting) return ask_again();
  return done_if(status == (kind == "instance.stop" ? Status::stopped : Status::running));
}

Verdict judge_update(const OperationInput& input, const InstancePointer& found) {
  if (found == nullptr) return failed(instance_not_found(input.name));
  const bool tells = input.cpus || input.memory_bytes || input.disk_bytes;
  // A change of the description alone leaves nothing to compare with: repeating it is harmless.
  return done_if(tells && met(input.cpus, found->limits.cpus) && met(input.memory_bytes, found->limits.memory_bytes) &&
                 met(input.disk_bytes, found->limits.disk_bytes));
}

}  // namespace

Result<Verdict> InstanceService::reconcile(const operations::Operation& operation) {
  const auto input = json::from_json<OperationInput>(operation.input);
  if (!input) return interrupted();
  const auto quick = [this] { return Deadline::after(settings_.quick_limit); };
  if (!operation.handle.empty() && BERTH_TRY(engine_.still_working(operation.handle, quick()))) {
    return ask_again();
  }
  if (operation.resource_type == "image") return judge_image(operation);
  InstancePointer found;
  if (auto read = inventory_.reread(input->name, quick())) {
    found = std::move(*read);
  } else if (read.error().code() != ErrorCode::not_found) {
    return take_error(read);
  }
  return judge(operation, std::move(found));
}

Result<Verdict> InstanceService::judge(const operations::Operation& operation, InstancePointer found) {
  const auto input = BERTH_TRY(json::from_json<OperationInput>(operation.input));
  const std::string& kind = operation.kind;
  if (kind == "instance.create") return judge_create(operation, found);
  if (kind == "instance.start" || kind == "instance.stop" || kind == "instance.restart" || kind == "instance.delete") {
    return judge_lifecycle(kind, found, input.name);
  }
  if (kind == "instance.update") return judge_update(input, found);
  if (kind == "instance.rename" && input.new_name && *input.new_name) {
    if (found != nullptr) return interrupted();
    auto renamed = inventory_.reread(**input.new_name, Deadline::after(settings_.quick_limit));
    if (!renamed && renamed.error().code() != ErrorCode::not_found) return take_error(renamed);
    return done_if(renamed.has_value());
  }
  if (kind.starts_with("instance.snapshot.")) {
    if (found == nullptr) return failed(instance_not_found(input.name));
    return judge_snapshot(operation);
  }
  return interrupted();
}

Result<Verdict> InstanceService::judge_create(const operations::Operation& operation, const InstancePointer& found) {
  const auto input = BERTH_TRY(json::from_json<OperationInput>(operation.input));
  if (found == nullptr) return interrupted();
  const bool start = input.start && input.start->value_or(false);
  if (!start || found->status != Status::stopped) return succeeded();
  // It was made but not started: what was asked for is still wanted.
  auto started = engine_.start(input.name, EngineProgress{}, Deadline::after(settings_.lifecycle_limit));
  inventory_.refresh(input.name, Deadline::after(settings_.quick_limit));
  if (started) return succeeded();
  if (no_answer(started.error())) return take_error(started);
  return failed(started.error());
}

Result<Verdict> InstanceService::judge_snapshot(const operations::Operation& operation) {
  const auto input = BERTH_TRY(json::from_json<OperationInput>(operation.input));
  SnapshotAbility* ability = engine_.snapshots();
  if (ability == nullptr || !input.snapshot || !*input.snapshot) return interrupted();
  const auto snapshots = BERTH_TRY(ability->list_snapshots(input.name, Deadline::after(settings_.quick_limit)));
  const bool present = std::ranges::find(snapshots, **input.snapshot, &InstanceSnapshot::name) != snapshots.end();
  if (operation.kind == "instance.snapshot.create") return done_if(present);
  if (operation.kind == "instance.snapshot.delete") return done_if(!present);
  // Nothing tells afterwards whether a restore took place.
  return interrupted();
}

Result<Verdict> InstanceService::judge_image(const operations::Operation& operation) {
  ImageAbility* ability = engine_.images();
  if (ability == nullptr) return interrupted();
  const auto images = BERTH_TRY(ability->list_images(Deadline::after(settings_.quick_limit)));
  const std::string& wanted = operation.resource_id;
  return done_if(std::ranges::none_of(images, [&](const Image& image) {
    return image.fingerprint.starts_with(wanted) || std::ranges::find(image.aliases, wanted) != image.aliases.end();
  }));
}

}  // namespace berth::compute
