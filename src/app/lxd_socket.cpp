#include "app/lxd_socket.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/log.h"

namespace berth::app {
namespace {

constexpr std::size_t kLongestSocketPath = 107;
constexpr std::chrono::milliseconds kLookAgain{1000};

bool socket_exists(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_socket(path, ignored);
}

Error cannot_link(std::string why) {
  return Error(ErrorCode::unavailable, "engine.socket_link",
               {"无法创建指向 LXD 套接字的链接", "cannot make the link to LXD's socket"})
      .with_detail(std::move(why));
}

}  // namespace

std::vector<std::filesystem::path> lxd_socket_candidates(const Environment& environment) {
  std::vector<std::filesystem::path> candidates;
  const auto folder = environment.find("LXD_DIR");
  if (folder != environment.end() && folder->second.starts_with('/')) {
    candidates.push_back(std::filesystem::path(folder->second) / "unix.socket");
  }
  candidates.emplace_back("/var/snap/lxd/common/lxd/unix.socket");
  candidates.emplace_back("/var/lib/lxd/unix.socket");
  candidates.emplace_back("/var/lib/incus/unix.socket");
  return candidates;
}

Result<std::unique_ptr<LxdSocketLink>> LxdSocketLink::create(const std::string& engine,
                                                             const std::filesystem::path& folder,
                                                             std::vector<std::filesystem::path> candidates) {
  auto link = folder / fmt::format("engine-{}.socket", engine);
  std::filesystem::path own_folder;
  // The next link is put beside this one before it takes its place.
  if (link.string().size() + std::string_view(".new").size() > kLongestSocketPath) {
    std::string pattern = "/tmp/berth-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return cannot_link(std::strerror(errno));
    own_folder = pattern;
    link = own_folder / fmt::format("{}.socket", engine);
  }
  std::unique_ptr<LxdSocketLink> made(new LxdSocketLink(std::move(link), std::move(own_folder), std::move(candidates)));
  std::error_code ignored;
  if (!std::filesystem::is_symlink(made->link_, ignored)) return cannot_link(made->link_.string());
  return made;
}

LxdSocketLink::LxdSocketLink(std::filesystem::path link, std::filesystem::path own_folder,
                             std::vector<std::filesystem::path> candidates)
    : link_(std::move(link)), own_folder_(std::move(own_folder)), candidates_(std::move(candidates)) {
  // One left by an earlier run may lead to a socket that was configured then.
  ::unlink(link_.c_str());
  refresh();
  refreshing_ = std::make_unique<Periodic>("lxd-socket", kLookAgain, [this] { refresh(); });
}

LxdSocketLink::~LxdSocketLink() {
  refreshing_.reset();
  ::unlink(link_.c_str());
  std::error_code ignored;
  if (!own_folder_.empty()) std::filesystem::remove(own_folder_, ignored);
}

void LxdSocketLink::refresh() {
  std::error_code problem;
  const auto now = std::filesystem::read_symlink(link_, problem);
  if (!problem && socket_exists(now)) return;
  auto chosen = candidates_.front();
  for (const auto& candidate : candidates_) {
    if (!socket_exists(candidate)) continue;
    chosen = candidate;
    break;
  }
  if (!problem && chosen == now) return;
  const auto draft = link_.string() + ".new";
  ::unlink(draft.c_str());
  if (::symlink(chosen.c_str(), draft.c_str()) != 0 || ::rename(draft.c_str(), link_.c_str()) != 0) {
    log::warning("app", "cannot point {} at {}: {}", link_.string(), chosen.string(), std::strerror(errno));
    return;
  }
  if (socket_exists(chosen)) log::info("app", "LXD's socket is {}", chosen.string());
}

}  // namespace berth::app
