#include <fmt/format.h>

#include <charconv>

#include "api/lxd_panel/lxd_panel.h"
#include "compute/description.h"

namespace berth::api::lxd_panel {
namespace {

using http::Method;

constexpr std::uint64_t kMiB = 1ULL << 20U;

Error bad_field(std::string field, Text message) {
  return Error(ErrorCode::invalid_argument, "request.invalid", {"请求参数无效", "The request is not valid"})
      .with_field(std::move(field), std::move(message));
}

/// "30000-30025" as two ports.
Result<std::pair<std::uint16_t, std::uint16_t>> parse_range(const std::string& text) {
  const char* const end = text.data() + text.size();
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  const auto left = std::from_chars(text.data(), end, first);
  if (left.ec == std::errc{} && left.ptr != end && *left.ptr == '-') {
    const auto right = std::from_chars(left.ptr + 1, end, last);
    if (right.ec == std::errc{} && right.ptr == end) return std::pair(first, last);
  }
  return bad_field("nat_ports", {"应为 起始-结束，例如 30000-30025", "Must be first-last, for example 30000-30025"});
}

/// The description of a new instance: as given, or put together from its access details.
Result<std::string> description_of(const CreateRequest& request) {
  const bool any_access = request.ssh_port || request.root_password || request.nat_ports;
  if (!any_access) return request.description.value_or("");
  if (request.description) {
    return bad_field("description", {"不能与 ssh_port、root_password、nat_ports 同时给出",
                                     "Cannot be given together with ssh_port, root_password or nat_ports"});
  }
  if (!request.ssh_port || !request.root_password || !request.nat_ports) {
    return bad_field("ssh_port", {"ssh_port、root_password、nat_ports 必须同时给出",
                                  "ssh_port, root_password and nat_ports must be given together"});
  }
  const auto [first, last] = BERTH_TRY(parse_range(*request.nat_ports));
  return compute::make_description({request.name, *request.ssh_port, *request.root_password, first, last});
}

std::optional<std::uint64_t> mebibytes(const std::optional<std::uint64_t>& value) {
  return value ? std::optional(*value * kMiB) : std::nullopt;
}

std::optional<std::optional<std::uint64_t>> mebibytes(const std::optional<std::optional<std::uint64_t>>& value) {
  // Spelled out: deduction would flatten the two, and what was not mentioned would become a limit to remove.
  if (!value) return std::nullopt;
  return std::optional<std::optional<std::uint64_t>>(std::in_place, mebibytes(*value));
}

}  // namespace

Result<Reply<ActionResult<CreateData>>> LxdPanel::create_instance(const Call& call, const CreateRequest& request,
                                                                  std::chrono::seconds wait) {
  const compute::Viewer viewer = viewer_of(call);
  compute::NewInstance wish;
  wish.name = request.name;
  wish.image = request.image;
  wish.type =
      request.type == "virtual-machine" ? compute::InstanceType::virtual_machine : compute::InstanceType::container;
  wish.description = BERTH_TRY(description_of(request));
  wish.limits = {request.cpu, mebibytes(request.memory), mebibytes(request.disk)};
  wish.start = request.start;
  const operations::TicketPointer ticket = BERTH_TRY(parts_.instances.create(viewer, wish));

  Reply<ActionResult<CreateData>> reply;
  reply.body.data.operation = ticket->id().value();
  reply.headers.push_back({"Location", "operations/" + ticket->id().value()});
  const auto ended = ticket->wait(Deadline::after(wait));
  if (!ended) {
    reply.status = 202;
    const Text going{fmt::format("实例 {} 正在创建", request.name),
                     fmt::format("Instance {} is being created", request.name)};
    reply.body.message = going.in(call.language);
    return reply;
  }
  if (ended->failure) return Error(ended->failure->code, "instance.create_failed", ended->failure->message);
  if (const auto made = parts_.instances.find(viewer, request.name)) {
    reply.body.data.info = info_of(**made, secrets_of(call));
  }
  const Text done{fmt::format("实例 {} 创建成功", request.name), fmt::format("Instance {} created", request.name)};
  reply.body.message = done.in(call.language);
  reply.status = 201;
  return reply;
}

void LxdPanel::add_change_routes() {
  contract_->add<Nothing, WaitQuery, CreateRequest>(
      {Method::post,
       "/api/instances",
       identity::permissions::kInstancesCreate,
       {"从镜像创建实例", "Create from an image"},
       "changes",
       &parts_.changes},
      [this](const Call& call, Nothing, WaitQuery query, CreateRequest body) {
        return create_instance(call, body, std::chrono::seconds(query.wait));
      });
  contract_->add<InstancePath, Nothing, ChangeRequest>(
      {Method::patch,
       "/api/instances/{name}",
       identity::permissions::kInstancesUpdate,
       {"修改描述与资源限制", "Change the description and the limits"},
       "changes",
       &parts_.changes},
      [this](const Call& call, InstancePath path, Nothing, ChangeRequest body) -> Result<ActionResult<InstanceDetail>> {
        const compute::Viewer viewer = viewer_of(call);
        compute::InstanceChange change;
        change.description = body.description;
        change.cpus = body.cpu;
        change.memory_bytes = mebibytes(body.memory);
        change.disk_bytes = mebibytes(body.disk);
        BERTH_CHECK(parts_.instances.update(viewer, path.name, change));
        const auto instance = BERTH_TRY(parts_.instances.find(viewer, path.name));
        const Text done{fmt::format("实例 {} 修改成功", path.name), fmt::format("Instance {} changed", path.name)};
        return ActionResult<InstanceDetail>{true, done.in(call.language),
                                            detail_of(*instance, totals_of(*parts_.host.snapshot()), secrets_of(call))};
      });
  contract_->add<InstancePath, Nothing, RenameRequest>(
      {Method::post,
       "/api/instances/{name}/rename",
       identity::permissions::kInstancesUpdate,
       {"重命名（需先停止）", "Rename (a stopped one)"},
       "changes",
       &parts_.changes},
      [this](const Call& call, InstancePath path, Nothing, RenameRequest body) -> Result<PlainResult> {
        BERTH_CHECK(parts_.instances.rename(viewer_of(call), path.name, body.new_name));
        const Text done{fmt::format("实例 {} 已重命名为 {}", path.name, body.new_name),
                        fmt::format("Instance {} is now {}", path.name, body.new_name)};
        return PlainResult{true, done.in(call.language), nullptr};
      });
}

}  // namespace berth::api::lxd_panel
