#include "engines/processes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace berth::testing {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool all_threads_stopped(pid_t pid) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    const std::string state = read_file(task.path() / "stat");
    // "12 (name) T …"; the name may hold anything but ends at the last ')'.
    const std::size_t at = state.rfind(") ");
    if (at != std::string::npos && state.compare(at + 2, 1, "T") != 0) return false;
  }
  return true;
}

}  // namespace

pid_t spawn_process(const std::vector<std::string>& arguments, int input, const std::string& output,
                    const std::vector<std::string>& environment) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> variables;
  for (const auto& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
  variables.push_back(nullptr);
  char** const given = environment.empty() ? environ : variables.data();

  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("cannot fork");
  if (pid > 0) return pid;
  ::setsid();
  const int in = input >= 0 ? input : ::open("/dev/null", O_RDONLY);
  const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (in < 0 || out < 0 || ::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(out, 2) < 0) ::_exit(126);
  ::execve(argv.front(), argv.data(), given);
  ::_exit(127);
}

bool is_alive(pid_t pid) {
  const std::string state = read_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t at = state.rfind(") ");
  return at != std::string::npos && state.compare(at + 2, 1, "Z") != 0;
}

pid_t parent_of(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  const std::size_t at = status.find("PPid:\t");
  if (at == std::string::npos) throw std::runtime_error("the process has ended");
  pid_t parent = 0;
  std::from_chars(status.data() + at + 6, status.data() + status.size(), parent);
  return parent;
}

void stop_process(pid_t pid) {
  ::kill(pid, SIGSTOP);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!all_threads_stopped(pid)) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("a process would not stop");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool bound = ::bind(socket, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  ::close(socket);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

}  // namespace berth::testing
