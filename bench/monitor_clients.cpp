// Many monitors on one machine: opens WebSockets to /ws/monitor, reads everything that comes as cheaply as it can,
// and tells how long each tick took from the first byte at the first client to the last byte at the last one.
// One thread and epoll, so that as much of the machine as possible is left to the server.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Instant = std::chrono::steady_clock::time_point;

struct Options {
  std::uint16_t port = 0;
  std::size_t clients = 1000;
  std::size_t ticks = 12;           ///< measured ticks, once every client is connected
  std::chrono::seconds limit{180};  ///< of everything
  std::string credentials;          ///< a file with one bearer credential per line; clients share them evenly
};

std::string failure(std::string_view what) {
  return fmt::format("{}: {}", what, std::strerror(errno));
}

/// All messages that carry the same timestamp.
struct Tick {
  Instant first_byte;
  Instant last_byte;
  std::vector<double> milliseconds;  ///< of each client, from `first_byte` to its last byte
  std::size_t bytes = 0;             ///< of one message
};

struct Totals {
  std::map<std::string, Tick> ticks;  ///< by timestamp, which sorts by time
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::size_t closed = 0;
};

/// One WebSocket, RFC 6455, as far as a listening client needs it.
class Client {
 public:
  Client(int epoll, const Options& options, const std::string& credential, Totals& totals)
      : epoll_(epoll), totals_(totals) {
    connect(options);
    upgrade(credential, options);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = this;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &event) != 0) throw std::runtime_error(failure("epoll_ctl"));
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(); }

  std::uint64_t messages() const { return messages_; }

  /// Takes what is there, a bounded amount, so that one client does not starve the others.
  void read(std::vector<char>& buffer) {
    for (int round = 0; round < 4 && socket_ >= 0; ++round) {
      const ssize_t count = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (count <= 0) return lose();
      take({buffer.data(), static_cast<std::size_t>(count)});
      if (static_cast<std::size_t>(count) < buffer.size()) return;
    }
  }

 private:
  static constexpr std::size_t kPeek = 96;  ///< of a message, enough for its timestamp

  void connect(const Options& options) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket_ < 0 || ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error(failure("connect"));
    }
  }

  void upgrade(const std::string& credential, const Options& options) {
    const std::string request = fmt::format(
        "GET /ws/monitor HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Authorization: Bearer {}\r\n\r\n",
        options.port, credential);
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
      throw std::runtime_error(failure("send"));
    }
    std::string answer;
    std::array<char, 2048> part{};
    std::size_t end = std::string::npos;
    while ((end = answer.find("\r\n\r\n")) == std::string::npos) {
      const ssize_t count = ::recv(socket_, part.data(), part.size(), 0);
      if (count <= 0) throw std::runtime_error(failure("no answer to the upgrade"));
      answer.append(part.data(), static_cast<std::size_t>(count));
    }
    if (!answer.starts_with("HTTP/1.1 101 ")) throw std::runtime_error("not upgraded: " + answer);
    take(std::string_view(answer).substr(end + 4));
  }

  void take(std::string_view bytes) {
    totals_.bytes += bytes.size();
    while (!bytes.empty() && socket_ >= 0) {
      if (!in_payload_) {
        bytes = take_header(bytes);
        continue;
      }
      const std::size_t count = std::min<std::uint64_t>(left_, bytes.size());
      if (peek_.size() < kPeek) peek_.append(bytes.substr(0, std::min(count, kPeek - peek_.size())));
      left_ -= count;
      bytes.remove_prefix(count);
      if (left_ == 0) end_frame();
    }
  }

  std::string_view take_header(std::string_view bytes) {
    header_.push_back(bytes.front());
    bytes.remove_prefix(1);
    if (header_.size() == 1 && data_frame() && !message_begun_) message_begun_ = std::chrono::steady_clock::now();
    if (header_.size() < 2) return bytes;
    const auto code = static_cast<unsigned char>(header_[1]);
    if ((code & 0x80U) != 0) throw std::runtime_error("the server masks its frames");
    const std::size_t extra = code == 126 ? 2 : code == 127 ? 8 : 0;
    if (header_.size() < 2 + extra) return bytes;
    left_ = extra == 0 ? code : 0;
    for (std::size_t i = 0; i < extra; ++i) left_ = left_ << 8U | static_cast<unsigned char>(header_[2 + i]);
    frame_size_ = left_;
    in_payload_ = true;
    if (!data_frame() || !continued_) peek_.clear();
    if (left_ == 0) end_frame();
    return bytes;
  }

  unsigned opcode() const { return static_cast<unsigned char>(header_[0]) & 0x0fU; }
  bool data_frame() const { return opcode() < 8; }

  void end_frame() {
    const bool final_frame = (static_cast<unsigned char>(header_[0]) & 0x80U) != 0;
    const unsigned code = opcode();
    in_payload_ = false;
    header_.clear();
    if (code == 9) return pong();
    if (code == 8) return lose();
    if (code > 8) return;
    message_size_ += frame_size_;
    continued_ = !final_frame;
    if (!final_frame) return;
    end_message();
    message_begun_.reset();
    message_size_ = 0;
  }

  void end_message() {
    ++messages_;
    ++totals_.messages;
    constexpr std::string_view kMark = "\"timestamp\":\"";
    const std::size_t at = peek_.find(kMark);
    if (at == std::string::npos) throw std::runtime_error("a message without a timestamp: " + peek_);
    const std::size_t begin = at + kMark.size();
    const auto now = std::chrono::steady_clock::now();
    auto [place, fresh] = totals_.ticks.try_emplace(peek_.substr(begin, peek_.find('"', begin) - begin));
    Tick& tick = place->second;
    if (fresh || *message_begun_ < tick.first_byte) tick.first_byte = *message_begun_;
    tick.last_byte = now;
    tick.bytes = message_size_;
    tick.milliseconds.push_back(std::chrono::duration<double, std::milli>(now - tick.first_byte).count());
  }

  /// A masked, empty pong; the key of zeros leaves its payload as it is.
  void pong() {
    std::string frame = {static_cast<char>(0x8a), static_cast<char>(0x80 | std::min<std::size_t>(peek_.size(), 96))};
    frame.append(4, '\0');
    frame += peek_;
    if (::send(socket_, frame.data(), frame.size(), MSG_NOSIGNAL) < 0) lose();
  }

  void lose() {
    ++totals_.closed;
    close();
  }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  int epoll_;
  Totals& totals_;
  int socket_ = -1;
  std::string header_;
  std::string peek_;
  bool in_payload_ = false;
  bool continued_ = false;
  std::uint64_t left_ = 0;
  std::uint64_t frame_size_ = 0;
  std::uint64_t message_size_ = 0;
  std::uint64_t messages_ = 0;
  std::optional<Instant> message_begun_;
};

class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  ~Load() { ::close(epoll_); }

  void run() {
    const Instant begun = std::chrono::steady_clock::now();
    const Instant end = begun + options_.limit;
    const auto credentials = read_credentials();
    for (std::size_t i = 0; i < options_.clients; ++i) {
      clients_.push_back(
          std::make_unique<Client>(epoll_, options_, credentials[i * credentials.size() / options_.clients], totals_));
      poll(0);
    }
    while (!everyone_greeted() && std::chrono::steady_clock::now() < end) poll(50);
    connect_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    if (!everyone_greeted()) throw std::runtime_error("not every client got its first message in time");
    // The tick that the last greetings fell into is none of the measured ones.
    const std::string last_greeting = totals_.ticks.empty() ? "" : totals_.ticks.rbegin()->first;
    fmt::print(stderr, "{} clients greeted in {:.2f} s\n", clients_.size(), connect_seconds_);
    while (std::chrono::steady_clock::now() < end && totals_.closed == 0) {
      poll(100);
      if (complete_ticks(last_greeting) >= options_.ticks) break;
    }
    report(last_greeting);
  }

 private:
  std::vector<std::string> read_credentials() const {
    std::ifstream in(options_.credentials);
    std::vector<std::string> credentials;
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) credentials.push_back(line);
    }
    if (credentials.empty()) throw std::runtime_error("no credentials in " + options_.credentials);
    return credentials;
  }

  void poll(int milliseconds) {
    std::array<epoll_event, 256> events{};
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), milliseconds);
    for (int i = 0; i < count; ++i) {
      static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr)->read(buffer_);
    }
  }

  bool everyone_greeted() const {
    return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) { return client->messages() > 0; });
  }

  std::size_t complete_ticks(const std::string& after) const {
    std::size_t count = 0;
    for (auto tick = totals_.ticks.upper_bound(after); tick != totals_.ticks.end(); ++tick) {
      if (tick->second.milliseconds.size() >= clients_.size()) ++count;
    }
    return count;
  }

  static double percentile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
    return values[rank];
  }

  void report(const std::string& after) const {
    std::vector<double> last;
    std::vector<double> all;
    std::size_t skipped = 0;
    std::size_t message_bytes = 0;
    for (auto tick = totals_.ticks.upper_bound(after); tick != totals_.ticks.end(); ++tick) {
      const Tick& it = tick->second;
      const bool newest = std::next(tick) == totals_.ticks.end();
      if (newest && it.milliseconds.size() < clients_.size()) continue;  // still arriving when the run ended
      skipped += clients_.size() - std::min(clients_.size(), it.milliseconds.size());
      last.push_back(std::chrono::duration<double, std::milli>(it.last_byte - it.first_byte).count());
      all.insert(all.end(), it.milliseconds.begin(), it.milliseconds.end());
      message_bytes = it.bytes;
    }
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    fmt::print(
        R"({{"clients":{},"closed":{},"ticks":{},"skipped":{},"message_bytes":{},"connect_seconds":{:.3f},)"
        R"("last_client_ms":{{"p50":{:.1f},"p99":{:.1f},"max":{:.1f}}},"each_client_ms":{{"p50":{:.1f},"p99":{:.1f}}},)"
        R"("messages":{},"bytes":{},"client_cpu_seconds":{:.2f}}})"
        "\n",
        clients_.size(), totals_.closed, last.size(), skipped, message_bytes, connect_seconds_, percentile(last, 0.5),
        percentile(last, 0.99), percentile(last, 1.0), percentile(all, 0.5), percentile(all, 0.99), totals_.messages,
        totals_.bytes, seconds(used.ru_utime) + seconds(used.ru_stime));
  }

  Options options_;
  int epoll_;
  Totals totals_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<char> buffer_ = std::vector<char>(256UL * 1024);
  double connect_seconds_ = 0;
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--port")
      options.port = static_cast<std::uint16_t>(std::atoi(value));
    else if (name == "--clients")
      options.clients = static_cast<std::size_t>(std::atol(value));
    else if (name == "--ticks")
      options.ticks = static_cast<std::size_t>(std::atol(value));
    else if (name == "--limit")
      options.limit = std::chrono::seconds(std::atol(value));
    else if (name == "--credentials")
      options.credentials = value;
    else
      return std::nullopt;
  }
  if (argc % 2 == 0 || options.port == 0 || options.clients == 0 || options.credentials.empty()) return std::nullopt;
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    fmt::print(stderr,
               "usage: berth_monitor_clients --port PORT --credentials FILE [--clients N] [--ticks N] "
               "[--limit SECONDS]\n");
    return 2;
  }
  try {
    Load(*options).run();
  } catch (const std::exception& exception) {
    fmt::print(stderr, "berth_monitor_clients: {}\n", exception.what());
    return 1;
  }
  return 0;
}
