#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "app/doctor.h"
#include "app/foundation.h"
#include "app/lxd_socket.h"
#include "app/state_lock.h"
#include "base/child_process.h"
#include "drivers/lxd/lxd_engine.h"

namespace berth::app {
namespace {

constexpr std::chrono::seconds kEngineWait{3};

/// Why the address cannot be listened on; 0 if it can.
int listening_problem(const Configuration::Listener& listener) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, listener.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(listener.port);
    size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, listener.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(listener.port);
    size = sizeof *v6;
  } else {
    return EADDRNOTAVAIL;
  }
  const int probe = ::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return errno;
  const int on = 1;
  ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (storage.ss_family == AF_INET6) ::setsockopt(probe, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const int problem =
      ::bind(probe, reinterpret_cast<const sockaddr*>(&storage), size) == 0 && ::listen(probe, 1) == 0 ? 0 : errno;
  ::close(probe);
  return problem;
}

Text listening_remedy(int problem, const Configuration::Listener& listener) {
  switch (problem) {
    case EADDRINUSE:
      return {fmt::format("用 ss -ltnp 'sport = :{}' 找到占用者，或改用其他端口", listener.port),
              fmt::format("find who has it with ss -ltnp 'sport = :{}', or take another port", listener.port)};
    case EACCES:
      return {"1024 以下的端口需要 root 或 CAP_NET_BIND_SERVICE", "ports below 1024 need root or CAP_NET_BIND_SERVICE"};
    default:
      return {"检查 listener.address 是否为本机地址", "check that listener.address is an address of this machine"};
  }
}

Diagnosis engine_diagnosis(const std::string& check, const std::string& where, const http::Endpoint& endpoint,
                           const std::string& project) {
  drivers::lxd::LxdEngine engine({.endpoint = endpoint, .project = project, .storage_pool = {}});
  const auto info = engine.info(Deadline::after(kEngineWait));
  if (info) {
    return {check,
            Finding::ok,
            {fmt::format("{}：{} {}（{}）", where, info->product, info->version, info->host),
             fmt::format("{}: {} {} on {}", where, info->product, info->version, info->host)},
            {}};
  }
  return {check,
          Finding::failure,
          {fmt::format("{} 没有应答：{}", where, info.error().message().zh),
           fmt::format("{} does not answer: {}", where, info.error().message().en)},
          {"查看 journalctl -u lxd 或 snap logs lxd；确认当前用户属于 lxd 组",
           "look at journalctl -u lxd or snap logs lxd; make sure that this user is in the group lxd"}};
}

std::vector<Diagnosis> check_sockets(const std::string& check, const Configuration::Engine& engine,
                                     const std::vector<std::filesystem::path>& candidates) {
  std::vector<Diagnosis> found;
  for (const auto& candidate : candidates) {
    struct stat status {};
    if (::stat(candidate.c_str(), &status) != 0) continue;
    if (::access(candidate.c_str(), R_OK | W_OK) != 0) {
      found.push_back({check,
                       Finding::failure,
                       {fmt::format("{} 存在，但当前用户无权使用", candidate.string()),
                        fmt::format("{} is there, but this user may not use it", candidate.string())},
                       {"把用户加入 lxd 组：usermod -aG lxd 用户名，然后重新登录",
                        "add the user to the group: usermod -aG lxd USER, then sign in again"}});
      continue;
    }
    found.push_back(
        engine_diagnosis(check, candidate.string(), drivers::lxd::unix_endpoint(candidate.string()), engine.project));
  }
  if (!found.empty()) return found;
  std::string looked;
  for (const auto& candidate : candidates) looked += (looked.empty() ? "" : ", ") + candidate.string();
  return {{check,
           Finding::warning,
           {fmt::format("没有找到 LXD 或 Incus（查找过 {}）；面板会显示 LXD服务不可用，出现后自动恢复", looked),
            fmt::format("neither LXD nor Incus was found (looked for {}); the panel says so and heals when one appears",
                        looked)},
           {"安装：apt install lxd 或 snap install lxd，然后 lxd init",
            "install one: apt install lxd or snap install lxd, then lxd init"}}};
}

/// How many servers of the store are reached over SSH.
Result<std::int64_t> servers_over_ssh(const Configuration& configuration) {
  metrics::Registry metrics;
  const auto database = BERTH_TRY(store::Database::open(BERTH_TRY(store_settings(configuration)), metrics));
  return database->read([](store::Transaction& transaction) -> Result<std::int64_t> {
    return BERTH_TRY(transaction.query("SELECT count(*) AS n FROM servers WHERE url LIKE 'ssh://%'"))
        .front()
        .integer("n");
  });
}

}  // namespace

std::vector<Diagnosis> check_listeners(const Patient& patient) {
  std::vector<Diagnosis> found;
  const auto daemon = running_daemon(patient.loaded.configuration.state.folder);
  for (const auto& listener : patient.loaded.configuration.listeners) {
    const auto where = listener.address.find(':') == std::string::npos
                           ? fmt::format("{}:{}", listener.address, listener.port)
                           : fmt::format("[{}]:{}", listener.address, listener.port);
    const int problem = listening_problem(listener);
    if (problem == 0) {
      found.push_back({"ports", Finding::ok, {fmt::format("{} 可用", where), fmt::format("{} is free", where)}, {}});
    } else if (problem == EADDRINUSE && daemon) {
      found.push_back({"ports",
                       Finding::ok,
                       {fmt::format("{} 由正在运行的 berth（进程 {}）使用", where, *daemon),
                        fmt::format("{} is used by the running berth (process {})", where, *daemon)},
                       {}});
    } else {
      found.push_back({"ports",
                       Finding::failure,
                       {fmt::format("不能监听 {}：{}", where, std::strerror(problem)),
                        fmt::format("cannot listen on {}: {}", where, std::strerror(problem))},
                       listening_remedy(problem, listener)});
    }
  }
  return found;
}

std::vector<Diagnosis> check_store(const Patient& patient) {
  const auto& configuration = patient.loaded.configuration;
  std::error_code ignored;
  const bool sqlite = configuration.store.dialect == store::Dialect::sqlite;
  if (sqlite && !std::filesystem::exists(configuration.store.file, ignored)) {
    return {{"store",
             Finding::ok,
             {"数据库尚不存在，首次启动时创建", "the store does not exist yet; the first start makes it"},
             {}}};
  }
  const auto bad = [](const Error& error) {
    return std::vector<Diagnosis>{{"store",
                                   Finding::failure,
                                   {fmt::format("数据库打不开：{} {}", error.message().zh, error.detail()),
                                    fmt::format("the store does not open: {} {}", error.message().en, error.detail())},
                                   {"检查 [store] 的设置和文件权限；必要时从 backups 目录恢复",
                                    "check [store] and the file's rights; if need be restore one from backups"}}};
  };
  metrics::Registry metrics;
  const auto settings = store_settings(configuration);
  if (!settings) return bad(settings.error());
  const auto database = store::Database::open(*settings, metrics);
  if (!database) return bad(database.error());
  const auto version = (*database)->schema_version();
  if (!version) return bad(version.error());
  const int newest = store::Database::newest_schema_version();
  const bool old = *version < newest;
  return {{"store",
           old ? Finding::warning : Finding::ok,
           {fmt::format("数据库可用，结构为第 {} 版（最新 {}）", *version, newest),
            fmt::format("the store opens, schema {} of {}", *version, newest)},
           old ? Text{"下次启动会先备份再迁移，也可运行 berth migrate",
                      "the next start migrates it after a backup; berth migrate does it now"}
               : Text{}}};
}

std::vector<Diagnosis> check_ssh(const Patient& patient) {
  const auto& store = patient.loaded.configuration.store;
  std::error_code ignored;
  if (store.dialect == store::Dialect::sqlite && !std::filesystem::exists(store.file, ignored)) return {};
  const auto servers = servers_over_ssh(patient.loaded.configuration);
  // A store that cannot be read is told of by its own check.
  if (!servers || *servers == 0) return {};
  ChildProcess::Settings version;
  version.argv = {"ssh", "-V"};
  auto ssh = ChildProcess::start(version);
  const bool there = ssh && ssh->wait(Deadline::after(kEngineWait)) && ssh->end().code == 0;
  return {{"ssh", there ? Finding::ok : Finding::failure,
           there ? Text{fmt::format("ssh 可用，{} 台服务器需要它", *servers),
                        fmt::format("ssh is there; servers that need it: {}", *servers)}
                 : Text{fmt::format("没有可用的 ssh，{} 台服务器需要它", *servers),
                        fmt::format("there is no ssh that runs; servers that need it: {}", *servers)},
           there ? Text{} : Text{"执行 apt install openssh-client", "run apt install openssh-client"}}};
}

std::vector<Diagnosis> check_sealing_key(const Patient& patient) {
  const auto& file = patient.loaded.configuration.identity.sealing_key_file;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    const auto& store = patient.loaded.configuration.store;
    const bool lost = store.dialect == store::Dialect::sqlite && std::filesystem::exists(store.file, ignored);
    return {{"sealing", lost ? Finding::failure : Finding::ok,
             lost ? Text{fmt::format("数据库存在，但封存密钥 {} 不见了", file.string()),
                         fmt::format("there is a store, but its sealing key {} is gone", file.string())}
                  : Text{"封存密钥尚不存在，首次启动时创建",
                         "the sealing key does not exist yet; the first start makes it"},
             lost ? Text{"从备份恢复该文件；没有它，封存的秘密无法读取",
                         "restore that file from a backup; what is sealed cannot be read without it"}
                  : Text{}}};
  }
  const auto sealing = identity::Sealing::load(file, false);
  if (sealing) {
    return {{"sealing", Finding::ok, {"封存密钥可用", "the sealing key is usable"}, {}}};
  }
  return {{"sealing",
           Finding::failure,
           {fmt::format("封存密钥不可用：{}", sealing.error().message().zh),
            fmt::format("the sealing key is not usable: {}", sealing.error().message().en)},
           {fmt::format("执行 chmod 600 {}", file.string()), fmt::format("run chmod 600 {}", file.string())}}};
}

std::vector<Diagnosis> check_engines(const Patient& patient) {
  std::vector<Diagnosis> found;
  for (const auto& [name, engine] : patient.loaded.configuration.engines) {
    const auto check = fmt::format("engine.{}", name);
    if (engine.kind == EngineKind::fake) {
      found.push_back({check,
                       Finding::ok,
                       {fmt::format("内存中的模拟引擎，{} 个实例", engine.instances),
                        fmt::format("a fake engine in memory with {} instances", engine.instances)},
                       {}});
    } else if (!engine.url.empty()) {
      http::Endpoint endpoint;
      endpoint.base_url = engine.url;
      endpoint.client_certificate = engine.client_certificate;
      endpoint.client_key = engine.client_key;
      endpoint.server_certificate = engine.server_certificate;
      found.push_back(engine_diagnosis(check, engine.url, endpoint, engine.project));
    } else {
      auto candidates = engine.socket.empty() ? lxd_socket_candidates(patient.environment)
                                              : std::vector<std::filesystem::path>{engine.socket};
      auto sockets = check_sockets(check, engine, candidates);
      std::move(sockets.begin(), sockets.end(), std::back_inserter(found));
    }
  }
  return found;
}

}  // namespace berth::app
