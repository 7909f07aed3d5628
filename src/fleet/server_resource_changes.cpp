#include <fmt/format.h>

#include <algorithm>
#include <boost/describe/class.hpp>
#include <fstream>
#include <system_error>
#include <utility>

#include "base/encoding.h"
#include "fleet/container_input.h"
#include "fleet/server_resources.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

using operations::State;
using operations::Verdict;

/// How much longer than the operation its caller waits, for its outcome to be recorded.
constexpr std::chrono::milliseconds kPatience{2000};

/// What a record of an operation keeps: also what a reconciler cannot learn any more.
struct ResourceInput {
  std::string name;
  std::optional<std::optional<bool>> was_there{};
  /// Random where what is asked for is not written here, so that two such operations are never taken for equal.
  std::optional<std::optional<std::string>> token{};
};
BOOST_DESCRIBE_STRUCT(ResourceInput, (), (name, was_there, token))

/// What the audit log tells of a change beside its action and resource.
struct ResourceDetails {
  std::string server;
};
BOOST_DESCRIBE_STRUCT(ResourceDetails, (), (server))

struct ImageResult {
  std::string image;
  std::string server;
};
BOOST_DESCRIBE_STRUCT(ImageResult, (), (image, server))

Error unsupported() {
  return Error(ErrorCode::unsupported, "engine.unsupported", {"该引擎不支持此功能", "This engine cannot do that"});
}

Error refused_field(std::string_view reason, std::string field, Text message) {
  return Error(ErrorCode::invalid_argument, reason, message).with_field(std::move(field), message);
}

/// A file that goes with the last who holds it.
std::shared_ptr<const std::filesystem::path> make_staged(const std::filesystem::path& folder) {
  return {new std::filesystem::path(folder / (random_uuid() + ".tar")), [](const std::filesystem::path* file) {
            std::error_code ignored;
            std::filesystem::remove(*file, ignored);
            delete file;
          }};
}

Result<void> write_staged(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out) return {};
  return Error(ErrorCode::exhausted, "import.disk", {"磁盘空间不足", "There is no room left on the disk"})
      .with_detail(file.string());
}

template <class Item>
Result<std::vector<std::string>> names_of(Result<std::vector<Item>> items) {
  std::vector<std::string> names;
  for (auto& one : BERTH_TRY(std::move(items))) names.push_back(std::move(one.name));
  return names;
}

compute::EngineProgress progress_of(operations::Context& context) {
  compute::EngineProgress progress;
  progress.report = [&context](int percent, std::string stage) {
    context.progress(std::clamp(percent, 0, 100), std::move(stage));
  };
  progress.adopt = [&context](std::string handle) { return context.adopt(std::move(handle)); };
  progress.cancelled = [&context] { return context.cancel_requested(); };
  return progress;
}

}  // namespace

struct ServerResources::Named {
  std::string_view type;  ///< "volume"
  std::string_view bad_name;
  std::string_view exists;
  std::string_view not_found;
  Text word;
  bool (*has)(compute::InstanceEngine&);
  Result<std::vector<std::string>> (*list)(compute::InstanceEngine&, Deadline);
  Result<void> (*create)(compute::InstanceEngine&, const std::string& name, Deadline);
  Result<void> (*remove)(compute::InstanceEngine&, const std::string& name, Deadline);

  Result<bool> there(compute::InstanceEngine& engine, const std::string& name, Deadline deadline) const {
    if (!has(engine)) return unsupported();
    const auto names = BERTH_TRY(list(engine, deadline));
    return std::ranges::find(names, name) != names.end();
  }
};

const ServerResources::Named& ServerResources::volumes() {
  static const Named kind{"volume",
                          "volume.name",
                          "volume.exists",
                          "volume.not_found",
                          {"卷", "Volume"},
                          [](compute::InstanceEngine& engine) { return engine.volumes() != nullptr; },
                          [](compute::InstanceEngine& engine, Deadline deadline) {
                            return names_of(engine.volumes()->list_volumes(deadline));
                          },
                          [](compute::InstanceEngine& engine, const std::string& name, Deadline deadline) {
                            return engine.volumes()->create_volume(name, deadline);
                          },
                          [](compute::InstanceEngine& engine, const std::string& name, Deadline deadline) {
                            return engine.volumes()->remove_volume(name, deadline);
                          }};
  return kind;
}

const ServerResources::Named& ServerResources::networks() {
  static const Named kind{"network",
                          "network.name",
                          "network.exists",
                          "network.not_found",
                          {"网络", "Network"},
                          [](compute::InstanceEngine& engine) { return engine.networks() != nullptr; },
                          [](compute::InstanceEngine& engine, Deadline deadline) {
                            return names_of(engine.networks()->list_networks(deadline));
                          },
                          [](compute::InstanceEngine& engine, const std::string& name, Deadline deadline) {
                            return engine.networks()->create_network(name, deadline);
                          },
                          [](compute::InstanceEngine& engine, const std::string& name, Deadline deadline) {
                            return engine.networks()->remove_network(name, deadline);
                          }};
  return kind;
}

Result<UnitPointer> ServerResources::target(const std::optional<std::string>& server) const {
  const auto servers = parts_.servers.list();
  if (!server && servers.empty()) {
    return Error(ErrorCode::conflict, "server.none", {"还没有服务器", "There are no servers yet"});
  }
  if (!server && servers.size() > 1) {
    return refused_field("server.required", "server",
                         {"有多台服务器，必须指定一台", "There are several servers, so one must be named"});
  }
  const auto at = server ? std::ranges::find(servers, *server, [](const ServerView& view) { return view.server.name; })
                         : servers.begin();
  if (at == servers.end()) return server_not_found(*server);
  UnitPointer unit = parts_.servers.unit(at->server.id);
  if (unit == nullptr) return compute::engine_unavailable();
  if (!unit->inventory->snapshot()->health.connected) {
    // It may have come back since the last full read.
    const auto answer = unit->engine->info(Deadline::after(settings_.knock));
    if (!answer) return compute::engine_unavailable().with_detail(answer.error().describe());
  }
  return unit;
}

Result<operations::TicketPointer> ServerResources::submit(const audit::Origin& origin, Change change) {
  operations::NewOperation operation{.kind = std::move(change.kind),
                                     .engine = change.unit->engine_id,
                                     .resource_type = std::move(change.resource_type),
                                     .resource_id = std::move(change.resource_id),
                                     .input = std::move(change.input),
                                     .audit_details = json::to_json(ResourceDetails{change.unit->name}),
                                     .origin = origin,
                                     .time_limit = change.limit};
  auto guarded = [gate = gate_, unit = change.unit,
                  work = std::move(change.work)](operations::Context& context) mutable -> Result<std::string> {
    const auto pass = gate->enter();
    if (!pass) return change_interrupted();
    return work(context);
  };
  return parts_.operations.submit(std::move(operation), *change.unit->pool, std::move(guarded));
}

Result<void> ServerResources::carry_out(const audit::Origin& origin, Change change) {
  const auto limit = change.limit;
  const auto ticket = BERTH_TRY(submit(origin, std::move(change)));
  const auto operation = BERTH_TRY(ticket->wait(Deadline::after(limit + kPatience)));
  if (operation.state == State::succeeded) return {};
  if (operation.failure) return operations::to_error(*operation.failure);
  return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
}

Result<bool> ServerResources::has_image(const UnitPointer& unit, const std::string& image) const {
  compute::RegistryAbility* ability = unit->engine->registry();
  if (ability == nullptr) return unsupported();
  return ability->has_image(image, Deadline::after(settings_.quick_limit));
}

Result<ServerResources::Begun> ServerResources::pull_image(const audit::Origin& origin, const std::string& image,
                                                           const std::optional<std::string>& server) {
  BERTH_CHECK(compute::check_image_reference(image));
  const UnitPointer unit = BERTH_TRY(target(server));
  const bool was_there = BERTH_TRY(has_image(unit, image));
  Change change{.kind = "image.pull",
                .resource_type = "image",
                .resource_id = image,
                .unit = unit,
                .input = json::to_json(ResourceInput{.name = image, .was_there = was_there}),
                .limit = settings_.pull_limit,
                .work = {}};
  change.work = [this, unit, image](operations::Context& context) -> Result<std::string> {
    context.on_cancel([] {});
    BERTH_CHECK(fleet::pull_image(*unit->engine->registry(), image, parts_.credentials, progress_of(context),
                                  context.deadline()));
    return json::to_json(ImageResult{image, unit->name});
  };
  return Begun{unit->name, BERTH_TRY(submit(origin, std::move(change)))};
}

Result<ServerResources::Begun> ServerResources::import_image(const audit::Origin& origin, const std::string& image,
                                                             std::string_view archive,
                                                             const std::optional<std::string>& server) {
  BERTH_CHECK(compute::check_image_reference(image));
  if (archive.empty()) {
    return Error(ErrorCode::invalid_argument, "image.archive",
                 {"请求体应为 tar 归档", "The body must be a tar archive"});
  }
  const UnitPointer unit = BERTH_TRY(target(server));
  if (unit->engine->archives() == nullptr) return unsupported();
  const bool was_there = BERTH_TRY(has_image(unit, image));
  const auto file = make_staged(settings_.staging);
  BERTH_CHECK(write_staged(*file, archive));
  Change change{.kind = "image.import",
                .resource_type = "image",
                .resource_id = image,
                .unit = unit,
                .input = json::to_json(ResourceInput{.name = image, .was_there = was_there, .token = random_uuid()}),
                .limit = settings_.pull_limit,
                .work = {}};
  change.work = [unit, image, file](operations::Context& context) -> Result<std::string> {
    context.on_cancel([] {});
    BERTH_CHECK(unit->engine->archives()->import_root(file->string(), image, progress_of(context), context.deadline()));
    return json::to_json(ImageResult{image, unit->name});
  };
  return Begun{unit->name, BERTH_TRY(submit(origin, std::move(change)))};
}

Result<void> ServerResources::remove_image(const audit::Origin& origin, const std::string& image,
                                           const std::optional<std::string>& server) {
  BERTH_CHECK(compute::check_image_reference(image));
  const UnitPointer unit = BERTH_TRY(target(server));
  BERTH_TRY(unit->service->remove_image({true, "", origin}, image));
  return {};
}

Result<void> ServerResources::create_named(const Named& kind, const audit::Origin& origin, const std::string& name,
                                           const std::optional<std::string>& server) {
  if (!compute::check_container_name(name)) {
    return refused_field(kind.bad_name, "name",
                         {"名称必须为 2 到 128 个字母、数字、_、. 或 -，以字母或数字开头",
                          "A name is 2 to 128 letters, digits, '_', '.' or '-', beginning with a letter or digit"});
  }
  const UnitPointer unit = BERTH_TRY(target(server));
  Change change{.kind = fmt::format("{}.create", kind.type),
                .resource_type = std::string(kind.type),
                .resource_id = name,
                .unit = unit,
                .input = json::to_json(ResourceInput{.name = name}),
                .limit = settings_.quick_limit,
                .work = {}};
  change.work = [&kind, unit, name](operations::Context& context) -> Result<std::string> {
    if (BERTH_TRY(kind.there(*unit->engine, name, context.deadline()))) {
      return Error(
          ErrorCode::already_exists, kind.exists,
          {fmt::format("{} {} 已存在", kind.word.zh, name), fmt::format("{} {} already exists", kind.word.en, name)});
    }
    BERTH_CHECK(kind.create(*unit->engine, name, context.deadline()));
    return "null";
  };
  return carry_out(origin, std::move(change));
}

Result<void> ServerResources::remove_named(const Named& kind, const audit::Origin& origin, const std::string& name,
                                           const std::optional<std::string>& server) {
  const UnitPointer unit = BERTH_TRY(target(server));
  const auto not_found = [&kind, name] {
    return Error(
        ErrorCode::not_found, kind.not_found,
        {fmt::format("{} {} 不存在", kind.word.zh, name), fmt::format("{} {} does not exist", kind.word.en, name)});
  };
  if (!compute::check_container_name(name)) return not_found();
  Change change{.kind = fmt::format("{}.remove", kind.type),
                .resource_type = std::string(kind.type),
                .resource_id = name,
                .unit = unit,
                .input = json::to_json(ResourceInput{.name = name}),
                .limit = settings_.quick_limit,
                .work = {}};
  change.work = [&kind, unit, name, not_found](operations::Context& context) -> Result<std::string> {
    if (!BERTH_TRY(kind.there(*unit->engine, name, context.deadline()))) return not_found();
    BERTH_CHECK(kind.remove(*unit->engine, name, context.deadline()));
    return "null";
  };
  return carry_out(origin, std::move(change));
}

Result<void> ServerResources::create_volume(const audit::Origin& origin, const std::string& name,
                                            const std::optional<std::string>& server) {
  return create_named(volumes(), origin, name, server);
}
Result<void> ServerResources::remove_volume(const audit::Origin& origin, const std::string& name,
                                            const std::optional<std::string>& server) {
  return remove_named(volumes(), origin, name, server);
}
Result<void> ServerResources::create_network(const audit::Origin& origin, const std::string& name,
                                             const std::optional<std::string>& server) {
  return create_named(networks(), origin, name, server);
}
Result<void> ServerResources::remove_network(const audit::Origin& origin, const std::string& name,
                                             const std::optional<std::string>& server) {
  return remove_named(networks(), origin, name, server);
}

Result<Verdict> ServerResources::reconcile(const operations::Operation& operation) {
  const auto pass = gate_->enter();
  const Verdict ask_again{State::running, "null", std::nullopt};
  if (!pass) return ask_again;
  const auto servers = parts_.servers.list();
  const auto at =
      std::ranges::find(servers, operation.engine, [](const ServerView& view) { return engine_id_of(view.server.id); });
  if (at == servers.end()) {
    return Verdict{
        State::failed, "null",
        operations::Failure{ErrorCode::unavailable,
                            "engine.removed",
                            {"服务器已被移除，结果未知", "The server was removed, so the outcome is unknown"}}};
  }
  // Asked about again later: an error would hold up the operations of every other server too.
  const UnitPointer unit = parts_.servers.unit(at->server.id);
  if (unit == nullptr || !unit->inventory->snapshot()->health.connected) return ask_again;
  auto verdict = judge(operation, unit);
  if (!verdict && no_answer(verdict.error())) return ask_again;
  return verdict;
}

Result<Verdict> ServerResources::judge(const operations::Operation& operation, const UnitPointer& unit) const {
  const auto input = BERTH_TRY(json::from_json<ResourceInput>(operation.input));
  bool done = false;
  if (operation.resource_type == "image") {
    // Whether one that was there is the newer one now, nobody can tell.
    done = input.was_there == std::optional(false) && BERTH_TRY(has_image(unit, input.name));
  } else {
    const Named& kind = operation.resource_type == volumes().type ? volumes() : networks();
    const bool there = BERTH_TRY(kind.there(*unit->engine, input.name, Deadline::after(settings_.quick_limit)));
    done = there == operation.kind.ends_with(".create");
  }
  if (done) return Verdict{State::succeeded, "null", std::nullopt};
  return Verdict{State::failed, "null", operations::to_failure(change_interrupted())};
}

}  // namespace berth::fleet
