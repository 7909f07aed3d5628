#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "app/doctor.h"
#include "base/clock.h"

namespace berth::app {
namespace {

constexpr std::uint64_t kGibibyte = 1ULL << 30U;
/// An early bound for a clock that was never set.
constexpr Timestamp kThisProgramsTime = std::chrono::sys_days(std::chrono::year(2025) / 1 / 1);

std::string read_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

Diagnosis diagnosis(std::string check, Finding finding, Text found, Text remedy = {}) {
  return {std::move(check), finding, std::move(found), std::move(remedy)};
}

std::filesystem::path nearest_existing(std::filesystem::path path) {
  std::error_code ignored;
  while (!std::filesystem::exists(path, ignored) && path.has_parent_path() && path != path.parent_path()) {
    path = path.parent_path();
  }
  return path;
}

}  // namespace

std::vector<Diagnosis> check_rights(const Patient& /*patient*/) {
  const auto user = ::geteuid();
  std::vector<Diagnosis> found;
  found.push_back(diagnosis("rights.user", Finding::ok,
                            {fmt::format("以用户编号 {} 运行", user), fmt::format("runs as user id {}", user)}));
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  constexpr rlim_t kEnoughFiles = 4096;
  const auto count = files.rlim_cur == RLIM_INFINITY ? std::string("unlimited") : std::to_string(files.rlim_cur);
  const bool few = files.rlim_cur != RLIM_INFINITY && files.rlim_cur < kEnoughFiles;
  found.push_back(diagnosis("rights.files", few ? Finding::warning : Finding::ok,
                            {fmt::format("可打开 {} 个文件，每个连接占一个", count),
                             fmt::format("may open {} files; each connection takes one", count)},
                            few ? Text{"用 ulimit -n 16384 或 systemd 的 LimitNOFILE= 提高上限",
                                       "raise the limit with ulimit -n 16384 or LimitNOFILE= in systemd"}
                                : Text{}));
  return found;
}

std::vector<Diagnosis> check_state_folder(const Patient& patient) {
  const auto& folder = patient.loaded.configuration.state.folder;
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) {
    const auto parent = nearest_existing(folder.parent_path());
    const bool possible = ::access(parent.c_str(), W_OK | X_OK) == 0;
    return {diagnosis(
        "state.folder", possible ? Finding::ok : Finding::failure,
        {fmt::format("{} 尚不存在，首次启动时创建", folder.string()),
         fmt::format("{} does not exist yet; the first start makes it", folder.string())},
        possible ? Text{}
                 : Text{fmt::format("当前用户不能在 {} 中创建目录，请改用 state.folder 或更换用户", parent.string()),
                        fmt::format("this user may not make folders in {}; set state.folder or use "
                                    "another user",
                                    parent.string())})};
  }
  if (!S_ISDIR(status.st_mode) || ::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    return {diagnosis("state.folder", Finding::failure,
                      {fmt::format("不能写入 {}", folder.string()), fmt::format("cannot write to {}", folder.string())},
                      {fmt::format("执行 chown {} {}", ::geteuid(), folder.string()),
                       fmt::format("run chown {} {}", ::geteuid(), folder.string())})};
  }
  if ((status.st_mode & 0077U) != 0) {
    return {diagnosis(
        "state.folder", Finding::warning,
        {fmt::format("{} 对其他用户开放（权限 {:o}）", folder.string(), status.st_mode & 0777U),
         fmt::format("{} is open to other users (mode {:o})", folder.string(), status.st_mode & 0777U)},
        {fmt::format("执行 chmod 700 {}", folder.string()), fmt::format("run chmod 700 {}", folder.string())})};
  }
  return {diagnosis("state.folder", Finding::ok,
                    {fmt::format("{} 可用且仅限所有者访问", folder.string()),
                     fmt::format("{} is usable and its owner's alone", folder.string())})};
}

std::vector<Diagnosis> check_disk_space(const Patient& patient) {
  const auto place = nearest_existing(patient.loaded.configuration.state.folder);
  struct statvfs status {};
  if (::statvfs(place.c_str(), &status) != 0) {
    return {diagnosis("disk", Finding::warning,
                      {fmt::format("无法得知 {} 的剩余空间", place.string()),
                       fmt::format("cannot tell how much room {} has", place.string())})};
  }
  const auto available = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
  const auto inodes_gone = status.f_files > 0 && status.f_favail == 0;
  const auto finding = available < kGibibyte / 10 || inodes_gone ? Finding::failure
                       : available < kGibibyte                   ? Finding::warning
                                                                 : Finding::ok;
  const double gibibytes = static_cast<double>(available) / static_cast<double>(kGibibyte);
  return {diagnosis("disk", finding,
                    {fmt::format("{} 剩余 {:.1f} GiB", place.string(), gibibytes),
                     fmt::format("{:.1f} GiB free at {}", gibibytes, place.string())},
                    finding == Finding::ok ? Text{}
                                           : Text{"清理磁盘，或把 state.folder 移到更大的文件系统",
                                                  "free some room, or move state.folder to a larger file system"})};
}

std::vector<Diagnosis> check_clock(const Patient& /*patient*/) {
  const auto now = system_clock().now();
  if (now < kThisProgramsTime) {
    return {diagnosis("clock", Finding::failure,
                      {fmt::format("系统时间 {} 明显错误，登录令牌会失效", format_utc(now)),
                       fmt::format("the clock says {}, which cannot be; tokens would not work", format_utc(now))},
                      {"执行 timedatectl set-ntp true，或用 date -s 设置时间",
                       "run timedatectl set-ntp true, or set it with date -s"})};
  }
  timex state{};
  const bool synchronised = ::adjtimex(&state) >= 0 && (state.status & STA_UNSYNC) == 0;
  return {diagnosis("clock", synchronised ? Finding::ok : Finding::warning,
                    synchronised ? Text{"系统时间已同步", "the clock is synchronised"}
                                 : Text{"系统时间没有同步，两步验证码允许的误差只有 30 秒",
                                        "nothing synchronises the clock; codes of the second factor bear 30 s"},
                    synchronised ? Text{}
                                 : Text{"安装 chrony 或 systemd-timesyncd；虚拟机由宿主同步时可忽略",
                                        "install chrony or systemd-timesyncd; ignore it where the host keeps the "
                                        "guest's clock"})};
}

std::vector<Diagnosis> check_kernel(const Patient& /*patient*/) {
  utsname system{};
  ::uname(&system);
  std::vector<Diagnosis> found;
  int major = 0;
  int minor = 0;
  const bool parsed = std::sscanf(system.release, "%d.%d", &major, &minor) == 2;
  const bool old = parsed && (major < 5 || (major == 5 && minor < 10));
  found.push_back(diagnosis("kernel.version", old ? Finding::warning : Finding::ok,
                            {fmt::format("内核 {}", system.release), fmt::format("kernel {}", system.release)},
                            old ? Text{"建议 5.10 或更新的内核", "use kernel 5.10 or newer"} : Text{}));
  const auto has = [&](const char* check, const char* path, Text what, Text remedy) {
    const bool there = ::access(path, F_OK) == 0;
    found.push_back(
        diagnosis(check, there ? Finding::ok : Finding::warning,
                  there ? Text{what.zh + "可用", what.en + ": there"} : Text{what.zh + "不可用", what.en + ": missing"},
                  there ? Text{} : std::move(remedy)));
  };
  has("kernel.cgroups", "/sys/fs/cgroup/cgroup.controllers", {"cgroup v2 ", "cgroup v2, for limits"},
      {"用 systemd.unified_cgroup_hierarchy=1 启动内核；只有 cgroup v1 时部分限制不可用",
       "boot with systemd.unified_cgroup_hierarchy=1; with cgroup v1 only, some limits do not work"});
  has("kernel.user_namespaces", "/proc/self/ns/user", {"用户命名空间", "user namespaces, for unprivileged containers"},
      {"内核须启用 CONFIG_USER_NS", "the kernel needs CONFIG_USER_NS"});
  has("kernel.kvm", "/dev/kvm", {"KVM ", "KVM, for virtual machines"},
      {"仅虚拟机需要：在固件中打开虚拟化并加载 kvm 模块",
       "only virtual machines need it: turn virtualisation on in the firmware and load the kvm module"});
  const auto watches = read_line("/proc/sys/fs/inotify/max_user_instances");
  if (!watches.empty() && watches.size() < 4 && std::stoi(watches) < 256) {
    found.push_back(diagnosis(
        "kernel.inotify", Finding::warning,
        {fmt::format("fs.inotify.max_user_instances 为 {}，很多容器同时运行时会不够", watches),
         fmt::format("fs.inotify.max_user_instances is {}, too few for many containers", watches)},
        {"执行 sysctl -w fs.inotify.max_user_instances=1024", "run sysctl -w fs.inotify.max_user_instances=1024"}));
  }
  return found;
}

}  // namespace berth::app
