#include "fleet/server_rows.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/encoding.h"
#include "compute/instance.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::fleet::server_rows {
namespace {

constexpr std::size_t kMostLabels = 64;
constexpr std::size_t kLongestLabel = 256;
constexpr std::size_t kLongestUrl = 1024;
constexpr std::size_t kLongestMaterial = 64UL << 10U;
constexpr std::size_t kLongestCommandName = 64;

std::string sealing_context(std::string_view name) {
  return "server:" + std::string(name);
}

std::string sealed_key(const Server& server, const identity::Sealing& sealing) {
  if (server.address.key.empty()) return {};
  return sealing.seal(server.address.key.reveal(), sealing_context(server.name));
}

bool is_text(std::string_view text, std::size_t longest) {
  return text.size() <= longest && is_utf8(text) && text.find('\0') == std::string_view::npos;
}

bool is_address(std::string_view url) {
  if (!is_text(url, kLongestUrl)) return false;
  if (std::ranges::any_of(url, [](unsigned char c) { return c <= ' ' || c == 0x7f; })) return false;
  if (url.starts_with("unix://")) return url.size() > 8 && url[7] == '/';
  for (const std::string_view scheme : {"tcp://", "ssh://", "fake://"}) {
    if (url.starts_with(scheme)) return url.size() > scheme.size();
  }
  return false;
}

bool is_material(const ServerAddress& address) {
  return is_text(address.ca_certificate, kLongestMaterial) && is_text(address.certificate, kLongestMaterial) &&
         is_text(address.key.reveal(), kLongestMaterial) && is_text(address.host_key, kLongestMaterial);
}

bool are_labels(const std::map<std::string, std::string>& labels) {
  return labels.size() <= kMostLabels && std::ranges::all_of(labels, [](const auto& label) {
           return !label.first.empty() && is_text(label.first, kLongestLabel) && is_text(label.second, kLongestLabel);
         });
}

Placement placement_of(std::string_view word) {
  return word == name(Placement::open) ? Placement::open : Placement::draining;
}

/// A fence that this binary does not know is none: failover then waits for a person.
Fence fence_of(std::string_view word) {
  for (const Fence fence : {Fence::agent, Fence::command}) {
    if (word == name(fence)) return fence;
  }
  return Fence::none;
}

store::Parameters parameters_of(const Server& server, const identity::Sealing& sealing) {
  return {{"name", server.name},
          {"url", server.address.url},
          {"ca_certificate", server.address.ca_certificate},
          {"certificate", server.address.certificate},
          {"sealed_key", sealed_key(server, sealing)},
          {"host_key", server.address.host_key},
          {"labels", json::to_json(server.labels)},
          {"placement", name(server.placement)},
          {"fence", name(server.fence)},
          {"fence_command", server.fence_command}};
}

}  // namespace

Result<void> check(const NewServer& server) {
  std::vector<FieldError> refused;
  const auto refuse = [&](bool good, std::string field, Text message) {
    if (!good) refused.push_back({std::move(field), std::move(message)});
  };
  refuse(compute::check_instance_name(server.name).has_value(), "name",
         {"服务器名称应为 1 到 63 个字母、数字或“-”，以字母开头",
          "A server's name is 1 to 63 letters, digits and '-', beginning with a letter"});
  refuse(is_address(server.address.url), "url",
         {"地址应形如 unix:///run/docker.sock、tcp://主机:端口 或 ssh://用户@主机/套接字",
          "An address looks like unix:///run/docker.sock, tcp://host:port or ssh://user@host/socket"});
  refuse(is_material(server.address), "certificate",
         {"证书和密钥应为不超过 64 KiB 的文本", "Certificates and keys are text of at most 64 KiB"});
  refuse(are_labels(server.labels), "labels",
         {"最多 64 个标签，名称和值均不超过 256 字节", "At most 64 labels of at most 256 bytes in name and value"});
  const bool commanded = server.fence == Fence::command;
  refuse(is_text(server.fence_command, kLongestCommandName) && commanded == !server.fence_command.empty(),
         "fence_command",
         {"仅当隔离方式为 command 时才需要（且必须）指定命令名称",
          "Names a command of the configuration, with the fence \"command\" and only with it"});
  if (refused.empty()) return {};
  const Text message = refused.front().message;
  return Error(ErrorCode::invalid_argument, "server.invalid", message).with_fields(std::move(refused));
}

Result<ServerId> insert(store::Transaction& transaction, const Server& server, const identity::Sealing& sealing) {
  auto parameters = parameters_of(server, sealing);
  parameters.emplace_back("now", server.created_at);
  return ServerId(BERTH_TRY(transaction.insert(
      "INSERT INTO servers (name, url, ca_certificate, certificate, sealed_key, host_key, labels, placement, fence, "
      "fence_command, created_at, updated_at) VALUES (:name, :url, :ca_certificate, :certificate, :sealed_key, "
      ":host_key, :labels, :placement, :fence, :fence_command, :now, :now)",
      parameters)));
}

Result<bool> update(store::Transaction& transaction, const Server& server, const identity::Sealing& sealing,
                    Timestamp now) {
  auto parameters = parameters_of(server, sealing);
  parameters.emplace_back("now", now);
  parameters.emplace_back("id", server.id);
  const auto changed = BERTH_TRY(transaction.execute(
      "UPDATE servers SET name = :name, url = :url, ca_certificate = :ca_certificate, certificate = :certificate, "
      "sealed_key = :sealed_key, host_key = :host_key, labels = :labels, placement = :placement, fence = :fence, "
      "fence_command = :fence_command, updated_at = :now WHERE id = :id",
      parameters));
  return changed == 1;
}

Result<void> require(store::Transaction& transaction, ServerId id) {
  const auto rows = BERTH_TRY(transaction.query("SELECT id FROM servers WHERE id = :id", {{"id", id}}));
  if (!rows.empty()) return {};
  return Error(ErrorCode::not_found, "server.not_found", {"服务器不存在", "There is no such server"});
}

Result<void> remove(store::Transaction& transaction, ServerId id) {
  BERTH_CHECK(transaction.execute("DELETE FROM servers WHERE id = :id", {{"id", id}}));
  return {};
}

Result<std::vector<Loaded>> load(store::Transaction& transaction, const identity::Sealing& sealing) {
  const auto rows = BERTH_TRY(transaction.query("SELECT * FROM servers ORDER BY id"));
  std::vector<Loaded> all;
  for (const auto& row : rows) {
    Loaded loaded;
    Server& server = loaded.server;
    server.id = ServerId(row.integer("id"));
    server.name = row.text("name");
    server.address.url = row.text("url");
    server.address.ca_certificate = row.text("ca_certificate");
    server.address.certificate = row.text("certificate");
    server.address.host_key = row.text("host_key");
    server.placement = placement_of(row.text("placement"));
    server.fence = fence_of(row.text("fence"));
    server.fence_command = row.text("fence_command");
    server.created_at = row.time("created_at");
    if (auto labels = json::from_json<std::map<std::string, std::string>>(row.text("labels"))) {
      server.labels = std::move(*labels);
    }
    if (const std::string sealed = row.text("sealed_key"); !sealed.empty()) {
      if (auto key = sealing.open(sealed, sealing_context(server.name))) {
        server.address.key = std::move(*key);
      } else {
        loaded.problem = take_error(key);
      }
    }
    all.push_back(std::move(loaded));
  }
  return all;
}

Result<std::int64_t> reseal(store::Transaction& transaction, const identity::Sealing& sealing) {
  const auto rows = BERTH_TRY(transaction.query("SELECT id, name, sealed_key FROM servers WHERE sealed_key <> ''"));
  std::int64_t resealed = 0;
  for (const auto& row : rows) {
    const std::string sealed = row.text("sealed_key");
    if (!sealing.outdated(sealed)) continue;
    const std::string context = sealing_context(row.text("name"));
    const Secret plain = BERTH_TRY(sealing.open(sealed, context));
    resealed += BERTH_TRY(transaction.execute(
        "UPDATE servers SET sealed_key = :fresh WHERE id = :id AND sealed_key = :sealed",
        {{"fresh", sealing.seal(plain.reveal(), context)}, {"id", row.integer("id")}, {"sealed", sealed}}));
  }
  return resealed;
}

}  // namespace berth::fleet::server_rows
