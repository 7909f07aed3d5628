#include "api/container_rental/acl_routes.h"

#include <fmt/format.h>

#include "api/container_rental/acl_wire.h"
#include "api/container_rental/container_rental.h"
#include "api/container_rental/wire.h"
#include "rental/acl_service.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using namespace identity::permissions;

rental::GrantWish wish_of(AclRequest request) {
  return {UserId(request.user_id), std::move(request.container_name),
          rental::parse_rights(request.permissions).value_or(rental::Rights())};
}

std::optional<std::string> name_of(const std::optional<fleet::ContainerId>& container, const std::string& name) {
  return container ? std::optional(name) : std::nullopt;
}

std::vector<AclLine> lines_of(const std::vector<rental::Grant>& grants) {
  std::vector<AclLine> lines;
  for (const auto& grant : grants) {
    lines.push_back({name_of(grant.container, grant.container_name), rental::words_of(grant.rights),
                     format_utc(grant.created_at), format_utc(grant.updated_at)});
  }
  return lines;
}

/// Somebody else's grants are nobody's business but of those who see everything.
Result<UserId> visible(const Call& call, UserId user) {
  if (!call.principal->owned_only() || call.principal->user_id == user) return user;
  return Error(ErrorCode::not_found, "user.not_found", {"用户不存在", "User not found"});
}

/// Where the contract stands, as the client sees it: "https://host:port/prefix", or the prefix alone.
std::string base_of(const http::Request& request) {
  const std::string_view target = std::string_view(request.target).substr(0, request.target.find('?'));
  const std::string_view prefix =
      target.ends_with(request.path) ? target.substr(0, target.size() - request.path.size()) : std::string_view();
  const auto host = request.header("Host");
  if (!host || host->empty()) return std::string(prefix);
  return fmt::format("{}://{}{}", request.peer.secure ? "https" : "http", *host, prefix);
}

}  // namespace

void add_acl_routes(Contract& contract, const AclRouteParts& parts) {
  contract.add<Nothing, Nothing, AclRequest>(
      {Method::post, "/api/acl/generate", kAclManage, {"生成 ACL", "Grant rights to a user"}, "acl", &parts.reads},
      [parts](const Call& call, Nothing, Nothing, AclRequest body) -> Result<Done> {
        BERTH_CHECK(parts.acl.generate(wish_of(std::move(body)), call.origin()));
        const Text done{"ACL 生成成功", "ACL generated successfully"};
        return Done{done.in(call.language)};
      });
  contract.add<Nothing, Nothing, AclRequest>(
      {Method::post, "/api/acl/update", kAclManage, {"更新 ACL", "Replace the rights of a user"}, "acl", &parts.reads},
      [parts](const Call& call, Nothing, Nothing, AclRequest body) -> Result<Done> {
        BERTH_CHECK(parts.acl.update(wish_of(std::move(body)), call.origin()));
        const Text done{"ACL 更新成功", "ACL updated successfully"};
        return Done{done.in(call.language)};
      });
  contract.add<Nothing, Nothing, AclRevokeRequest>(
      {Method::post, "/api/acl/revoke", kAclManage, {"撤销 ACL", "End grants of a user"}, "acl", &parts.reads},
      [parts](const Call& call, Nothing, Nothing, AclRevokeRequest body) -> Result<AclRevoked> {
        const auto revoked = BERTH_TRY(parts.acl.revoke(UserId(body.user_id), body.container_name, call.origin()));
        const Text done{"ACL 撤销成功", "ACL revoked successfully"};
        return AclRevoked{done.in(call.language), revoked};
      });
  contract.add<AclUserPath, Nothing, Nothing>(
      {Method::get,
       "/api/acl/list/{user_id}",
       kAclRead,
       {"用户的 ACL", "What a user was granted"},
       "acl",
       &parts.reads},
      [parts](const Call& call, AclUserPath path, Nothing, Nothing) -> Result<AclList> {
        const UserId user = BERTH_TRY(visible(call, UserId(path.user_id)));
        return AclList{path.user_id, lines_of(BERTH_TRY(parts.acl.list(user)))};
      });
  contract.add<AclUserPath, AclLogQuery, Nothing>(
      {Method::get,
       "/api/acl/logs/{user_id}",
       kAclRead,
       {"ACL 日志，新的在前", "Changes of a user's grants, newest first"},
       "acl",
       &parts.reads},
      [parts](const Call& call, AclUserPath path, AclLogQuery query, Nothing) -> Result<Reply<AclLogs>> {
        const UserId user = BERTH_TRY(visible(call, UserId(path.user_id)));
        const auto page = BERTH_TRY(parts.acl.log(user, query.limit, query.offset));
        AclLogs logs{path.user_id, {}};
        for (const auto& entry : page.entries) {
          logs.logs.push_back({std::string(rental::name(entry.action)), format_utc(entry.at), entry.actor,
                               name_of(entry.container, entry.container_name), rental::words_of(entry.before),
                               rental::words_of(entry.after)});
        }
        return Reply<AclLogs>{std::move(logs), 200, {{"X-Total-Count", std::to_string(page.total)}}};
      });
  contract.add<AclNamePath, Nothing, Nothing>(
      {Method::get,
       "/api/acl/download/{username}",
       kAclRead,
       {"下载 ACL：返回带签名的限时链接", "A signed link to a user's ACL file, which expires"},
       "acl",
       &parts.reads},
      [parts](const Call& call, AclNamePath path, Nothing, Nothing) -> Result<Reply<AclDownload>> {
        const auto user = parts.identity.find_user(path.username);
        const UserId id = BERTH_TRY(visible(call, user ? user->id : UserId()));
        if (!user) return user.error();
        const rental::AclLink link = parts.acl.links().sign(id);
        const std::string url = fmt::format("{}/api/acl/files/{}?expires={}&signature={}", base_of(*call.request),
                                            link.file, link.expires, link.signature);
        return Reply<AclDownload>{{url}, 200, {{"Cache-Control", "no-store"}}};
      });
  contract.add<AclFilePath, AclFileQuery, Nothing>(
      {Method::get,
       "/api/acl/files/{file}",
       kPublic,
       {"ACL 文件（凭签名链接）", "A user's ACL file, by a signed link alone"},
       "acl",
       &parts.reads},
      [parts](const Call&, AclFilePath path, AclFileQuery query, Nothing) -> Result<http::Response> {
        const UserId id = BERTH_TRY(parts.acl.links().check(path.file, query.expires, query.signature));
        const auto user = BERTH_TRY(parts.identity.find_user(id));
        const AclFile file{id.value(), user.username, format_utc(parts.clock.now()),
                           lines_of(BERTH_TRY(parts.acl.list(id)))};
        http::Response response = http::Response::json(200, json::to_json(file));
        response.headers.add("Cache-Control", "no-store");
        response.headers.add("Content-Disposition", fmt::format("attachment; filename=\"acl-{}.json\"", user.username));
        return response;
      });
}

void ContainerRental::add_acl_routes() {
  container_rental::add_acl_routes(*contract_, {parts_.acl, parts_.identity, parts_.clock, parts_.reads});
}

}  // namespace berth::api::container_rental
