#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/configuration.h"
#include "app/periodic.h"
#include "base/result.h"

namespace berth::app {

/// Where LXD's or Incus' socket may be, the likeliest first.
std::vector<std::filesystem::path> lxd_socket_candidates(const Environment& environment);

/// A short path that always leads to the first candidate there is. LXD may be installed or started long after
/// Berth, and a socket's own path may be longer than the 107 bytes that an address takes: a link solves both.
class LxdSocketLink {
 public:
  /// Makes the link in `folder` (or, where that makes it too long, in a folder of its own under /tmp, removed with
  /// this object) and keeps it true. Errors: unavailable "engine.socket_link".
  static Result<std::unique_ptr<LxdSocketLink>> create(const std::string& engine, const std::filesystem::path& folder,
                                                       std::vector<std::filesystem::path> candidates);
  LxdSocketLink(const LxdSocketLink&) = delete;
  LxdSocketLink& operator=(const LxdSocketLink&) = delete;
  ~LxdSocketLink();

  const std::filesystem::path& path() const { return link_; }
  /// Points the link at the first candidate that exists; keeps it where it is while that one does.
  void refresh();

 private:
  LxdSocketLink(std::filesystem::path link, std::filesystem::path own_folder,
                std::vector<std::filesystem::path> candidates);

  std::filesystem::path link_;
  std::filesystem::path own_folder_;  // "" if the link is in a folder of somebody else's
  std::vector<std::filesystem::path> candidates_;
  std::unique_ptr<Periodic> refreshing_;
};

}  // namespace berth::app
