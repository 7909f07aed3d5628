#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace berth::testing {

/// A real mail server (Debian's python3-aiosmtpd) on a free port of the loopback that keeps each mail as a file; see
/// python/smtp_sink.py for how it treats whom. A child process, ended with this object or with the test.
class SmtpSink {
 public:
  /// Options as smtp_sink.py takes them: "tls=starttls", "certificate=…", "key=…", "password=…".
  explicit SmtpSink(std::vector<std::string> options = {}) : options_(std::move(options)) { start(0); }
  SmtpSink(const SmtpSink&) = delete;
  SmtpSink& operator=(const SmtpSink&) = delete;
  ~SmtpSink() { kill(); }

  std::uint16_t port() const { return port_; }

  /// As JSON, in the order of arrival; also those whose sender was not told.
  std::vector<std::string> mails() const {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<std::string> mails;
    for (const auto& path : files) {
      std::ifstream file(path, std::ios::binary);
      mails.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return mails;
  }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  /// On the same port as before.
  void restart() {
    kill();
    start(port_);
  }
  /// Lets it hang, and go on.
  void pause() { ::kill(pid_, SIGSTOP); }
  void resume() { ::kill(pid_, SIGCONT); }

 private:
  void start(std::uint16_t port) {
    std::vector<std::string> arguments = {"/usr/bin/python3", BERTH_SMTP_SINK, "folder=" + folder_.path().string(),
                                          "port=" + std::to_string(port)};
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    std::vector<char*> argv;
    for (auto& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(126);
      ::dup2(pipe[1], 1);
      // It complains of what the tests do to it.
      if (std::getenv("BERTH_SMTP_SINK_SHOWN") == nullptr) ::dup2(::open("/dev/null", O_WRONLY), 2);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(pipe[1]);
    std::string line;
    char c = 0;
    while (::read(pipe[0], &c, 1) == 1 && c != '\n') line += c;
    ::close(pipe[0]);
    if (line.empty()) {
      kill();
      throw std::runtime_error("The mail server did not start: install the package python3-aiosmtpd");
    }
    port_ = static_cast<std::uint16_t>(std::stoi(line));
  }

  std::vector<std::string> options_;
  TemporaryFolder folder_;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace berth::testing
