#include "agent/memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/describe/class.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "base/read_file.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::agent {
namespace {

struct Written {
  bool bound = false;
  bool standing = false;
  std::int64_t until = 0;  ///< nanoseconds of the clock that goes on while the machine sleeps
  std::string boot;
  std::vector<std::string> ids;
  std::vector<std::string> stopped;
  std::map<std::string, std::string> taken;
};
BOOST_DESCRIBE_STRUCT(Written, (), (bound, standing, until, boot, ids, stopped, taken))

constexpr std::size_t kLongest = 16UL << 20U;

Error unusable(ErrorCode code, std::string detail) {
  return Error(code, "agent.memory",
               {"无法读写代理的状态文件", "The file in which the agent remembers what it owes cannot be used"})
      .with_detail(std::move(detail));
}

std::string boot_id() {
  std::ifstream stream("/proc/sys/kernel/random/boot_id");
  std::string id;
  stream >> id;
  return id;
}

/// A descriptor that closes itself.
struct Descriptor {
  explicit Descriptor(int number) : number(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  int number;
};

Result<void> write_all(const std::filesystem::path& file, const std::string& text, bool durable) {
  const auto failed = [&](const char* what) {
    return unusable(ErrorCode::unavailable, fmt::format("{} {}: {}", what, file.string(), std::strerror(errno)));
  };
  const Descriptor descriptor(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (descriptor.number < 0) return failed("opening");
  for (std::size_t done = 0; done < text.size();) {
    const auto wrote = ::write(descriptor.number, text.data() + done, text.size() - done);
    if (wrote < 0 && errno != EINTR) return failed("writing");
    if (wrote > 0) done += static_cast<std::size_t>(wrote);
  }
  if (durable && ::fdatasync(descriptor.number) != 0) return failed("syncing");
  return {};
}

Result<void> sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.number < 0 || ::fsync(descriptor.number) != 0) {
    return unusable(ErrorCode::unavailable, fmt::format("syncing {}: {}", folder.string(), std::strerror(errno)));
  }
  return {};
}

}  // namespace

bool Memory::Content::operator==(const Content& other) const {
  return lease.bound == other.lease.bound && lease.standing == other.lease.standing &&
         lease.until == other.lease.until && ids == other.ids && stopped == other.stopped && taken == other.taken;
}

Result<Memory> Memory::open(std::filesystem::path file) {
  Memory memory(std::move(file), boot_id());
  std::error_code problem;
  std::filesystem::create_directories(memory.file_.parent_path(), problem);
  const auto text = read_file(memory.file_, kLongest);
  if (!text && text.error().code() == ErrorCode::not_found) return memory;
  if (!text) {
    const bool too_large = text.error().code() == ErrorCode::too_large;
    return unusable(too_large ? ErrorCode::internal : ErrorCode::unavailable, text.error().describe());
  }
  const auto written = json::from_json<Written>(*text);
  if (!written) return unusable(ErrorCode::internal, memory.file_.string() + ": " + written.error().describe());
  memory.content_.lease = {written->bound, written->standing, {}};
  if (written->boot == memory.boot_) memory.content_.lease.until = Instant(std::chrono::nanoseconds(written->until));
  memory.content_.ids = {written->ids.begin(), written->ids.end()};
  memory.content_.stopped = {written->stopped.begin(), written->stopped.end()};
  for (const auto& [container, word] : written->taken) {
    if (const auto policy = compute::parse_restart_policy(word)) memory.content_.taken.emplace(container, *policy);
  }
  return memory;
}

Result<void> Memory::keep(Content content) {
  if (content == content_) return {};
  // What a container's policy was is written nowhere else.
  const bool binding = content.lease.bound != content_.lease.bound ||
                       content.lease.standing != content_.lease.standing || content.taken != content_.taken;
  Written written{content.lease.bound,
                  content.lease.standing,
                  std::chrono::nanoseconds(content.lease.until.time_since_epoch()).count(),
                  boot_,
                  {content.ids.begin(), content.ids.end()},
                  {content.stopped.begin(), content.stopped.end()},
                  {}};
  for (const auto& [container, policy] : content.taken) written.taken.emplace(container, name(policy));
  const std::filesystem::path fresh = file_.string() + ".new";
  BERTH_CHECK(write_all(fresh, json::to_json(written), binding));
  std::error_code problem;
  std::filesystem::rename(fresh, file_, problem);
  if (problem) return unusable(ErrorCode::unavailable, problem.message());
  if (binding) BERTH_CHECK(sync_folder(file_.parent_path()));
  content_ = std::move(content);
  return {};
}

}  // namespace berth::agent
