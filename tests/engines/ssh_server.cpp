#include "engines/ssh_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "engines/processes.h"
#include "eventually.h"

namespace berth::testing {
namespace {

constexpr const char* kProgram = "/usr/sbin/sshd";

bool answers(std::uint16_t port) {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return connected;
}

std::vector<pid_t> children_of(pid_t pid) {
  const std::string name = std::to_string(pid);
  std::ifstream in("/proc/" + name + "/task/" + name + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; in >> child;) children.push_back(child);
  return children;
}

char state_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const std::size_t at = text.rfind(") ");
  return at == std::string::npos ? '?' : text[at + 2];
}

}  // namespace

SshServer& SshServer::instance() {
  static SshServer server;
  return server;
}

SshServer::SshServer() : port_(free_port()) {
  if (::access(kProgram, X_OK) != 0) {
    throw std::runtime_error("These tests need sshd: install the package openssh-server");
  }
  for (const std::string name : {"host", "client", "strange"}) make_key(name, "");
  // Where sshd locks itself in before a login; it insists on this very place.
  std::filesystem::create_directories("/run/sshd");
  std::ostringstream settings;
  settings << "ListenAddress 127.0.0.1\nPort " << port_ << "\nHostKey " << folder_ / "host"
           << "\nAuthorizedKeysFile " << folder_ / "client.pub"
           << "\nPidFile none\nUsePAM no\nStrictModes no\nAuthenticationMethods publickey\n"
              "PermitRootLogin prohibit-password\nAllowStreamLocalForwarding yes\nMaxStartups 100\n";
  folder_.write("settings", settings.str());
  start();
}

SshServer::~SshServer() {
  if (running()) kill();
}

void SshServer::make_key(const std::string& name, const std::string& passphrase) const {
  ChildProcess::Settings settings;
  settings.argv = {"ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", folder_ / name};
  auto made = ChildProcess::start(settings);
  if (!made || !made->wait(Deadline::after(std::chrono::seconds(20))) || made->end().code != 0) {
    throw std::runtime_error("ssh-keygen makes no key");
  }
}

std::string SshServer::url(const std::string& socket) const {
  return "ssh://root@127.0.0.1:" + std::to_string(port_) + socket;
}

std::string SshServer::host_key() const {
  return "[127.0.0.1]:" + std::to_string(port_) + " " + folder_.read("host.pub");
}

Secret SshServer::key() const {
  return Secret(folder_.read("client"));
}

Secret SshServer::strange_key(const std::string& passphrase) const {
  if (passphrase.empty()) return Secret(folder_.read("strange"));
  make_key("locked", passphrase);
  return Secret(folder_.read("locked"));
}

std::string SshServer::strange_host_key() const {
  return folder_.read("strange.pub");
}

std::vector<pid_t> SshServer::processes() const {
  std::vector<pid_t> all{server_->id()};
  for (std::size_t at = 0; at < all.size(); ++at) {
    for (const pid_t child : children_of(all[at])) all.push_back(child);
  }
  return all;
}

void SshServer::pause() const {
  // The server first, so that no connection is added.
  ::kill(server_->id(), SIGSTOP);
  const auto all = processes();
  for (const pid_t pid : all) ::kill(pid, SIGSTOP);
  // One of a connection that ended may be dead, and nobody buries it while the server stands still.
  const auto stands = [](pid_t pid) { return state_of(pid) == 'T' || !is_alive(pid); };
  if (!eventually([&] { return std::ranges::all_of(all, stands); })) throw std::runtime_error("sshd would not stop");
}

void SshServer::resume() const {
  for (const pid_t pid : processes()) ::kill(pid, SIGCONT);
}

void SshServer::kill() {
  for (const pid_t pid : processes()) ::kill(pid, SIGKILL);
  server_.reset();
}

void SshServer::start() {
  const std::string log = folder_ / "log";
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  ChildProcess::Settings settings;
  settings.argv = {kProgram, "-D", "-e", "-f", folder_ / "settings"};
  settings.errors = output;
  settings.bond = ChildProcess::Bond::thread;
  auto server = ChildProcess::start(settings);
  ::close(output);
  if (!server) throw std::runtime_error(server.error().describe());
  server_.emplace(std::move(*server));
  if (!eventually([&] { return answers(port_) || server_->wait(Deadline::after(std::chrono::milliseconds(0))); }) ||
      !answers(port_)) {
    throw std::runtime_error("sshd did not become ready:\n" + folder_.read("log"));
  }
}

}  // namespace berth::testing
