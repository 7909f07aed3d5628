#pragma once

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace berth::testing {

/// A private PostgreSQL server for one test program: data in a temporary folder, reachable only
/// through a unix socket in it, started when it is first asked for, ended when the program ends
/// (also when it is killed). Throws std::runtime_error with the reason when there is no PostgreSQL
/// to start: a test then fails, it is never skipped.
class PostgresqlServer {
 public:
  static PostgresqlServer& instance() {
    static PostgresqlServer server;
    return server;
  }

  PostgresqlServer(const PostgresqlServer&) = delete;
  PostgresqlServer& operator=(const PostgresqlServer&) = delete;
  ~PostgresqlServer() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  /// A libpq connection string for a new, empty database.
  std::string create_database() {
    static std::atomic<int> count{0};
    const std::string name = "berth_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
    run({binary("createdb"), "-h", folder_, "-U", "berth", "-T", "template0", "-E", "UTF8", name});
    return "host=" + folder_ + " user=berth dbname=" + name;
  }

  /// Runs SQL in the database of a connection string, as somebody else would.
  void run_sql(const std::string& connection_string, const std::string& sql) {
    run({binary("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, connection_string});
  }

  /// Breaks all connections at once, as a crash of the server would, and starts it again.
  void restart() {
    stop();
    start();
  }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGCONT);
    ::kill(pid_, SIGQUIT);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  void start() {
    pid_ = spawn({binary("postgres"),
                  "-D",
                  folder_ + "/data",
                  "-k",
                  folder_,
                  "-c",
                  "listen_addresses=",
                  "-c",
                  "fsync=off",
                  "-c",
                  "full_page_writes=off",
                  "-c",
                  "max_connections=60",
                  "-c",
                  "shared_buffers=16MB",
                  "-c",
                  "unix_socket_permissions=0777",
                  "-c",
                  "autovacuum=off",
                  "-c",
                  "logging_collector=off"});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!ready()) {
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        throw std::runtime_error("PostgreSQL ended at once:\n" + log());
      }
      if (std::chrono::steady_clock::now() > deadline) {
        throw std::runtime_error("PostgreSQL did not become ready:\n" + log());
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  /// Stops every process of the server in its tracks, or lets them go on.
  void pause() { signal_all(SIGSTOP); }
  void resume() { signal_all(SIGCONT); }

 private:
  PostgresqlServer() : folder_(make_folder()), binaries_(find_binaries()) {
    run({binary("initdb"), "-D", folder_ + "/data", "-U", "berth", "-A", "trust", "-E", "UTF8", "--locale=C",
         "--no-sync", "--no-instructions"});
    start();
  }

  // PostgreSQL refuses to run as root.
  static const passwd* unprivileged() {
    if (::geteuid() != 0) return nullptr;
    const passwd* user = ::getpwnam("postgres");
    if (user == nullptr) user = ::getpwnam("nobody");
    if (user == nullptr) throw std::runtime_error("run as root, there is no user to run PostgreSQL as");
    return user;
  }

  static std::string make_folder() {
    // A unix socket's path has 107 bytes at most, so not below TMPDIR.
    char name[] = "/tmp/berth-pg-XXXXXX";
    if (::mkdtemp(name) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    if (const passwd* user = unprivileged(); user != nullptr) {
      if (::chown(name, user->pw_uid, user->pw_gid) != 0) throw std::runtime_error("cannot chown the folder");
    }
    return name;
  }

  static std::filesystem::path find_binaries() {
    std::vector<std::filesystem::path> candidates;
    if (const char* given = std::getenv("BERTH_POSTGRESQL_BIN"); given != nullptr) candidates.emplace_back(given);
    std::error_code ignored;
    std::vector<std::filesystem::path> versions;
    for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
      versions.push_back(entry.path() / "bin");
    }
    std::sort(versions.rbegin(), versions.rend());
    candidates.insert(candidates.end(), versions.begin(), versions.end());
    for (const auto& folder : candidates) {
      if (std::filesystem::exists(folder / "initdb")) return folder;
    }
    throw std::runtime_error(
        "These tests need PostgreSQL: install the package postgresql, or set BERTH_POSTGRESQL_BIN "
        "to the folder "
        "of initdb and postgres");
  }

  std::string binary(const char* name) const { return (binaries_ / name).string(); }

  pid_t spawn(const std::vector<std::string>& arguments) const {
    const passwd* user = unprivileged();
    const std::string log_file = folder_ + "/log";
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    if (user != nullptr &&
        (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) {
      ::_exit(126);
    }
    // After setuid, which clears it.
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (::getppid() != parent) ::_exit(126);
    const int output = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(output, 1);
    ::dup2(output, 2);
    ::chdir("/") == 0 ? ::execv(argv[0], argv.data()) : 0;
    ::_exit(127);
  }

  void run(const std::vector<std::string>& arguments) const {
    const pid_t pid = spawn(arguments);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) throw std::runtime_error(arguments.front() + " failed:\n" + log());
  }

  bool ready() const {
    const pid_t pid = spawn({binary("pg_isready"), "-q", "-h", folder_});
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status == 0;
  }

  std::string log() const {
    std::ostringstream text;
    text << std::ifstream(folder_ + "/log").rdbuf();
    return text.str();
  }

  // The server's processes are the children of the one that was started here.
  void signal_all(int signal) const {
    const std::string id = std::to_string(pid_);
    std::ifstream children("/proc/" + id + "/task/" + id + "/children");
    std::vector<pid_t> processes{pid_};
    for (pid_t child = 0; children >> child;) processes.push_back(child);
    for (const pid_t process : processes) ::kill(process, signal);
  }

  std::string folder_;
  std::filesystem::path binaries_;
  pid_t pid_ = -1;
};

}  // namespace berth::testing
