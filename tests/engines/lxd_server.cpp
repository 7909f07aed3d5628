#include "engines/lxd_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace berth::testing {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string find_program(const std::string& name, const std::string& package) {
  std::stringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  std::string folder;
  while (std::getline(path, folder, ':')) {
    if (::access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  }
  for (const char* more : {"/usr/sbin/", "/usr/bin/", "/snap/bin/"}) {
    if (::access((more + name).c_str(), X_OK) == 0) return more + name;
  }
  throw std::runtime_error("These tests need " + name + ": install the package " + package);
}

pid_t parse_pid(const std::string& text) {
  pid_t pid = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (failure != std::errc() || pid <= 0) throw std::runtime_error("no process id in '" + text + "'");
  return pid;
}

}  // namespace

LxdServer& LxdServer::instance() {
  static LxdServer server;
  return server;
}

LxdServer::LxdServer() {
  if (::geteuid() != 0) throw std::runtime_error("These tests start a real LXD, for which they must run as root");
  find_program("lxd", "lxd");
  find_program("lxc", "lxd-client");
  // The path of a unix socket has 107 bytes at most, so not below TMPDIR.
  char folder[] = "/tmp/berth-lxd-XXXXXX";
  if (::mkdtemp(folder) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  folder_ = folder;
  // Guests have other user ids and must reach their root below it.
  std::filesystem::permissions(folder_, std::filesystem::perms(0711));
  start_ender();
  start();
  lxc({"storage", "create", "default", "dir"});
  lxc({"profile", "device", "add", "default", "root", "disk", "path=/", "pool=default"});
  import_image(kImage);
}

LxdServer::~LxdServer() {
  ::close(ender_pipe_);
  // Reaped here, so that the ender sees it go.
  if (pid_ > 0) {
    ::kill(pid_, SIGCONT);
    ::waitpid(pid_, nullptr, 0);
  }
  ::waitpid(ender_, nullptr, 0);
}

void LxdServer::start_ender() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  ender_ = spawn({BERTH_END_LXD, folder_}, ends[0], "/dev/null");
  ::close(ends[0]);
  ender_pipe_ = ends[1];
}

void LxdServer::start() {
  std::filesystem::create_directories(directory());
  const std::string log_file = path("lxd.log");
  pid_ = spawn({find_program("lxd", "lxd"), "--group", "root"}, -1, log_file);
  std::ofstream(path("pid")) << pid_;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (true) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("LXD ended at once:\n" + log());
    }
    try {
      run({find_program("lxd", "lxd"), "waitready", "--timeout", "5"});
      return;
    } catch (const std::runtime_error&) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error("LXD did not become ready:\n" + log());
    }
  }
}

void LxdServer::pause() const {
  stop_process(pid_);
}
void LxdServer::resume() const {
  ::kill(pid_, SIGCONT);
}

void LxdServer::kill() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string LxdServer::log() const {
  return read_file(path("lxd.log"));
}

std::string LxdServer::lxc(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all{find_program("lxc", "lxd-client")};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run(all);
}

void LxdServer::import_image(const std::string& alias) {
  const std::string file = path(alias + ".tar.gz");
  run({BERTH_MAKE_IMAGE, file});
  lxc({"image", "import", file, "--alias", alias});
  std::filesystem::remove(file);
}

pid_t LxdServer::init_of(const std::string& instance) const {
  const std::string info = lxc({"info", instance});
  const std::size_t at = info.find("PID: ");
  if (at == std::string::npos) throw std::runtime_error(instance + " does not run");
  return parse_pid(info.substr(at + 5));
}

pid_t LxdServer::monitor_of(const std::string& instance) const {
  return parent_of(init_of(instance));
}

pid_t LxdServer::spawn(const std::vector<std::string>& arguments, int input, const std::string& output) const {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry);
    if (!variable.starts_with("LXD_") && !variable.starts_with("HOME=")) variables.emplace_back(variable);
  }
  variables.push_back("LXD_DIR=" + directory());
  // `lxc` keeps its own settings and certificates there.
  variables.push_back("HOME=" + folder_);
  variables.push_back("LXD_CONF=" + folder_ + "/client");
  return spawn_process(arguments, input, output, variables);
}

std::string LxdServer::run(const std::vector<std::string>& arguments) const {
  const std::string output = path("output-" + std::to_string(::getpid()) + "-" +
                                  std::to_string(std::hash<std::thread::id>{}(std::this_thread::get_id())));
  const pid_t pid = spawn(arguments, -1, output);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const std::string text = read_file(output);
  ::unlink(output.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  std::string command;
  for (const auto& argument : arguments) command += argument + " ";
  throw std::runtime_error(command + "failed: " + text);
}

}  // namespace berth::testing
