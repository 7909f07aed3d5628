#include "agent/container_processes.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "base/read_file.h"
#include "compute/container.h"

namespace berth::agent {
namespace {

constexpr std::size_t kIdLength = 64;
constexpr std::string_view kFreezer = ":freezer:";

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/// A small file of /proc; "" if the process is gone.
std::string read(const std::string& path) {
  auto text = read_file(path);
  return text ? std::move(*text) : std::string();
}

/// The container that a process belongs to by its control groups, if it is one of these.
std::optional<std::string> container_of(std::string_view groups, const std::set<std::string>& ids) {
  std::size_t digits = 0;
  for (std::size_t i = 0; i <= groups.size(); ++i) {
    if (i < groups.size() && is_hex(groups[i])) {
      ++digits;
      continue;
    }
    if (digits == kIdLength) {
      std::string id(groups.substr(i - kIdLength, kIdLength));
      if (ids.contains(id)) return id;
    }
    digits = 0;
  }
  return std::nullopt;
}

/// Whether a process has ended and only its number is left.
bool has_ended(pid_t pid) {
  const std::string stat = read("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= stat.size()) return true;
  const char state = stat[name_end + 2];
  return state == 'Z' || state == 'X' || state == 'x';
}

void each_process(const std::set<std::string>& ids, const std::function<void(pid_t, const std::string& id)>& visit) {
  if (ids.empty()) return;
  std::error_code problem;
  for (std::filesystem::directory_iterator at("/proc", problem), end; !problem && at != end; at.increment(problem)) {
    const std::string name = at->path().filename().string();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
    const std::string groups = read("/proc/" + name + "/cgroup");
    const auto id = container_of(groups, ids);
    if (id && !has_ended(pid)) visit(pid, *id);
  }
}

/// Where version 1 of control groups freezes a process; nothing where it does not.
std::optional<std::string> freezer_of(std::string_view groups) {
  const auto at = groups.find(kFreezer);
  if (at == std::string_view::npos) return std::nullopt;
  const auto begin = at + kFreezer.size();
  return "/sys/fs/cgroup/freezer" + std::string(groups.substr(begin, groups.find('\n', begin) - begin)) +
         "/freezer.state";
}

/// Yields the control groups of the process that was killed. Its number may be another one's by now, so it is asked
/// for them again once it is held.
std::optional<std::string> kill_process(pid_t pid, const std::string& id) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (handle < 0) return std::nullopt;
  std::optional<std::string> groups = read("/proc/" + std::to_string(pid) + "/cgroup");
  if (groups->find(id) == std::string::npos || ::syscall(SYS_pidfd_send_signal, handle, SIGKILL, nullptr, 0) != 0) {
    groups.reset();
  }
  ::close(handle);
  return groups;
}

}  // namespace

std::set<std::string> ContainerProcesses::running(const std::set<std::string>& ids) {
  std::set<std::string> found;
  each_process(ids, [&](pid_t, const std::string& id) { found.insert(id); });
  return found;
}

std::set<std::string> ContainerProcesses::kill(const std::set<std::string>& ids) {
  std::set<std::string> found;
  std::set<std::string> freezers;
  each_process(ids, [&](pid_t pid, const std::string& id) {
    found.insert(id);
    const auto groups = kill_process(pid, id);
    if (const auto freezer = groups ? freezer_of(*groups) : std::nullopt) freezers.insert(*freezer);
  });
  // There, who is frozen dies only once it is thawed.
  for (const auto& freezer : freezers) std::ofstream(freezer) << "THAWED";
  return found;
}

std::set<std::string> container_ids_in(const std::filesystem::path& folder) {
  std::set<std::string> ids;
  std::error_code problem;
  for (std::filesystem::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
    if (std::string name = at->path().filename().string(); compute::is_container_id(name)) ids.insert(std::move(name));
  }
  return ids;
}

}  // namespace berth::agent
