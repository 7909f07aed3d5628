#include "engines/docker_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "engines/processes.h"

namespace berth::testing {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string find_daemon() {
  std::stringstream path(std::string(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "") +
                         ":/usr/sbin:/usr/bin");
  std::string folder;
  while (std::getline(path, folder, ':')) {
    if (::access((folder + "/dockerd").c_str(), X_OK) == 0) return folder + "/dockerd";
  }
  throw std::runtime_error("These tests need dockerd: install the package docker.io");
}

/// Small commands are more to this than the engine: none of them outlives its deadline.
constexpr std::chrono::seconds kCallTime{60};

}  // namespace

DockerServer& DockerServer::instance(int number) {
  static std::map<int, std::unique_ptr<DockerServer>> servers;
  auto& server = servers[number];
  if (!server) server = std::make_unique<DockerServer>();
  return *server;
}

DockerServer::DockerServer(std::vector<std::string> flags) : flags_(std::move(flags)) {
  if (::geteuid() != 0) throw std::runtime_error("These tests start a real Docker, for which they must run as root");
  find_daemon();
  // The path of a unix socket has 107 bytes at most, so not below TMPDIR.
  char folder[] = "/tmp/berth-dk-XXXXXX";
  if (::mkdtemp(folder) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  folder_ = folder;
  start_ender();
  try {
    start();
    import_image(kImage);
  } catch (...) {
    end();
    throw;
  }
}

DockerServer::~DockerServer() {
  end();
}

void DockerServer::end() noexcept {
  ::close(ender_pipe_);
  // Reaped here, so that the ender sees it go.
  if (pid_ > 0) {
    ::kill(pid_, SIGCONT);
    ::waitpid(pid_, nullptr, 0);
  }
  ::waitpid(ender_, nullptr, 0);
}

void DockerServer::start_ender() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  ender_ = spawn({BERTH_END_DOCKER, folder_}, ends[0], "/dev/null");
  ::close(ends[0]);
  ender_pipe_ = ends[1];
}

void DockerServer::start() {
  std::filesystem::remove(path("docker.pid"));
  forget_dead_containerd();
  std::vector<std::string> arguments{find_daemon(),        "--data-root",      path("data"),
                                     "--exec-root",        path("exec"),       "-H",
                                     "unix://" + socket(), "--pidfile",        path("docker.pid"),
                                     "--bridge=none",      "--iptables=false", "--ip6tables=false"};
  arguments.insert(arguments.end(), flags_.begin(), flags_.end());
  pid_ = spawn(arguments, -1, path("docker.log"));
  std::ofstream(path("pid")) << pid_;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (true) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("Docker ended at once:\n" + read_file(path("docker.log")));
    }
    try {
      api(http::Method::get, "/version");
      return;
    } catch (const std::runtime_error&) {
      if (std::chrono::steady_clock::now() > end) {
        throw std::runtime_error("Docker did not become ready:\n" + read_file(path("docker.log")));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

/// Docker takes its containerd for alive as long as nobody has reaped it, and whose children the dead become may not.
void DockerServer::forget_dead_containerd() const {
  const std::string file = path("exec/containerd/containerd.pid");
  const pid_t pid = static_cast<pid_t>(std::strtol(read_file(file).c_str(), nullptr, 10));
  if (pid <= 0) return;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (is_alive(pid) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (!is_alive(pid)) std::filesystem::remove(file);
}

void DockerServer::pause() const {
  stop_process(pid_);
}
void DockerServer::resume() const {
  ::kill(pid_, SIGCONT);
}

void DockerServer::kill() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

json::Document DockerServer::api(http::Method method, const std::string& path, const std::string& body) const {
  http::Client::Settings settings;
  settings.endpoint.base_url = "http://localhost";
  settings.endpoint.unix_socket = socket();
  http::Client client(settings);
  http::ClientRequest request{.method = method, .target = path, .headers = {}, .body = body};
  if (!body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  const auto response = client.send(request, Deadline::after(kCallTime));
  if (!response) throw std::runtime_error(path + ": " + response.error().describe());
  if (response->status >= 400) throw std::runtime_error(path + ": " + response->body);
  auto document = json::Document::parse(response->body.empty() ? "null" : response->body);
  if (!document) throw std::runtime_error(path + ": " + document.error().describe());
  return std::move(*document);
}

std::string DockerServer::root_file() const {
  const std::string file = path("root.tar");
  if (!std::filesystem::exists(file)) run({BERTH_MAKE_IMAGE, "--root", file});
  return file;
}

void DockerServer::import_image(const std::string& reference) const {
  http::Client::Settings settings;
  settings.endpoint.base_url = "http://localhost";
  settings.endpoint.unix_socket = socket();
  http::Client client(settings);
  const std::size_t colon = reference.rfind(':');
  // The message makes each copy another image.
  const std::string target = "/images/create?fromSrc=-&repo=" + reference.substr(0, colon) +
                             "&tag=" + reference.substr(colon + 1) + "&message=" + http::percent_encode(reference) +
                             "&changes=" + http::percent_encode(R"(CMD ["/sbin/idle"])") +
                             "&changes=" + http::percent_encode("ENV PATH=/bin:/sbin:/usr/bin:/usr/sbin");
  const auto response = client.upload(
      {.method = http::Method::post, .target = target, .headers = {{"Content-Type", "application/x-tar"}}, .body = {}},
      root_file(), Deadline::after(kCallTime), {});
  if (!response || response->status != 200) throw std::runtime_error("the image cannot be imported");
}

pid_t DockerServer::init_of(const std::string& container) const {
  const auto pid = inspect(container).root()["State"]["Pid"].integer().value_or(0);
  if (pid <= 0) throw std::runtime_error(container + " does not run");
  return static_cast<pid_t>(pid);
}

pid_t DockerServer::shim_of(const std::string& container) const {
  return parent_of(init_of(container));
}

pid_t DockerServer::spawn(const std::vector<std::string>& arguments, int input, const std::string& output) const {
  return spawn_process(arguments, input, output, {});
}

void DockerServer::run(const std::vector<std::string>& arguments) const {
  const std::string output = path("output");
  const pid_t pid = spawn(arguments, -1, output);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw std::runtime_error(arguments.front() + " failed: " + read_file(output));
}

}  // namespace berth::testing
