#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "http/client.h"
#include "json/document.h"

namespace berth::testing {

/// A private Docker engine with a small image. Everything is in a folder of its own; it ends with the program, also
/// when the program is killed, and its containers with it. It has no bridge, so that the machine's network stays as
/// it is: containers have the networks "none" and "host", and those that a test makes. Throws std::runtime_error
/// with the reason where it cannot be started (no root, no dockerd, no static busybox): a test then fails, it is never
/// skipped.
class DockerServer {
 public:
  /// The servers of this program, side by side, each started when it is first asked for.
  static DockerServer& instance(int number = 1);

  /// `flags` are given to dockerd beside its own.
  explicit DockerServer(std::vector<std::string> flags = {});
  DockerServer(const DockerServer&) = delete;
  DockerServer& operator=(const DockerServer&) = delete;
  ~DockerServer();

  /// The image: runs /sbin/idle, which runs what is typed on its console and ends when it is asked to.
  static constexpr const char* kImage = "berth-busybox:latest";

  std::string socket() const { return folder_ + "/docker.sock"; }
  /// A file or folder beside Docker's own, removed with them.
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  /// Asks the engine behind the driver's back. Throws if it refuses.
  json::Document api(http::Method method, const std::string& path, const std::string& body = "") const;
  json::Document inspect(const std::string& container) const {
    return api(http::Method::get, "/containers/" + container + "/json");
  }
  /// Imports another copy of the image, with an id of its own.
  void import_image(const std::string& reference) const;
  /// A tar of the image's root; made once.
  std::string root_file() const;

  /// Stops the engine in its tracks, and lets it go on.
  void pause() const;
  void resume() const;
  /// Ends the engine at once; containers run on.
  void kill();
  /// Starts it again and waits until it answers.
  void start();
  bool running() const { return pid_ > 0; }

  /// A container's first process, and the one that stands between it and Docker.
  pid_t init_of(const std::string& container) const;
  pid_t shim_of(const std::string& container) const;

 private:
  pid_t spawn(const std::vector<std::string>& arguments, int input, const std::string& output) const;
  void run(const std::vector<std::string>& arguments) const;
  void start_ender();
  void forget_dead_containerd() const;
  void end() noexcept;

  std::vector<std::string> flags_;
  std::string folder_;
  pid_t pid_ = -1;
  pid_t ender_ = -1;
  int ender_pipe_ = -1;
};

}  // namespace berth::testing
