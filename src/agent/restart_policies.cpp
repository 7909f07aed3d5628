#include "agent/restart_policies.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <utility>

#include "agent/container_processes.h"
#include "base/log.h"
#include "base/read_file.h"
#include "json/document.h"

namespace berth::agent {
namespace {

using compute::RestartPolicy;

/// As Docker writes it: no text inside a string can look like this, as its quotes would be escaped.
constexpr std::string_view kMark = "\"RestartPolicy\":{\"Name\":\"";

std::string read(const std::filesystem::path& file) {
  auto text = read_file(file);
  return text ? std::move(*text) : std::string();
}

Error not_understood(const std::filesystem::path& file) {
  return Error(ErrorCode::internal, "agent.policy",
               {"无法理解容器的设置文件", "A container's settings cannot be understood"})
      .with_detail(file.string());
}

/// Replaces a file as a whole, with the same rights.
Result<void> replace(const std::filesystem::path& file, const std::string& text) {
  const std::filesystem::path fresh = file.string() + ".berth";
  struct stat before{};
  if (::stat(file.c_str(), &before) != 0) return not_understood(file);
  {
    std::ofstream stream(fresh, std::ios::binary | std::ios::trunc);
    ::chmod(fresh.c_str(), before.st_mode & 07777U);
    stream << text;
    stream.flush();
    if (!stream) return not_understood(fresh);
  }
  std::error_code problem;
  std::filesystem::rename(fresh, file, problem);
  if (problem) return not_understood(file);
  return {};
}

/// The policy that was there, after it is gone; nothing for none.
Result<std::optional<RestartPolicy>> take_policy(const std::filesystem::path& file) {
  std::string text = read(file);
  const auto at = text.find(kMark);
  const auto begin = at + kMark.size();
  const auto end = at == std::string::npos ? at : text.find('"', begin);
  if (end == std::string::npos) return not_understood(file);
  const std::string word = text.substr(begin, end - begin);
  if (word.empty() || word == name(RestartPolicy::no)) return std::optional<RestartPolicy>();
  const auto policy = compute::parse_restart_policy(word);
  if (!policy) return not_understood(file);
  text.replace(begin, word.size(), name(RestartPolicy::no));
  BERTH_CHECK(replace(file, text));
  return policy;
}

/// Docker's own rule for what it starts when it starts itself.
bool starts(RestartPolicy policy, json::View config) {
  const json::View state = config["State"];
  switch (policy) {
    case RestartPolicy::no:
      return false;
    case RestartPolicy::always:
      return true;
    case RestartPolicy::unless_stopped:
      return !config["HasBeenManuallyStopped"].boolean().value_or(false);
    case RestartPolicy::on_failure:
      return state["Running"].boolean().value_or(false) || state["ExitCode"].integer().value_or(0) != 0;
  }
  return false;
}

Result<std::optional<TakenPolicy>> take(const std::filesystem::path& folder) {
  const auto config = json::Document::parse(read(folder / "config.v2.json"));
  if (!config) return not_understood(folder / "config.v2.json");
  TakenPolicy taken;
  taken.container = config->root()["Name"].string_or("");
  if (!taken.container.starts_with('/')) return not_understood(folder / "config.v2.json");
  taken.container.erase(0, 1);
  const auto policy = BERTH_TRY(take_policy(folder / "hostconfig.json"));
  if (!policy) return std::optional<TakenPolicy>();
  taken.policy = *policy;
  taken.starts = starts(*policy, config->root());
  return std::optional(std::move(taken));
}

}  // namespace

std::map<std::string, TakenPolicy> take_restart_policies(const std::filesystem::path& containers) {
  std::map<std::string, TakenPolicy> all;
  for (const auto& id : container_ids_in(containers)) {
    auto taken = take(containers / id);
    if (!taken) log::warning("agent", "{}", taken.error().describe());
    if (taken && *taken) all.emplace(id, std::move(**taken));
  }
  return all;
}

std::optional<std::string> container_name(const std::filesystem::path& containers, const std::string& id) {
  const auto config = json::Document::parse(read(containers / id / "config.v2.json"));
  if (!config) return std::nullopt;
  std::string name = config->root()["Name"].string_or("");
  if (!name.starts_with('/')) return std::nullopt;
  return name.substr(1);
}

}  // namespace berth::agent
