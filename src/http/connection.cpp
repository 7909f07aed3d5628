#include "http/connection.h"

#include <sys/sendfile.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/error.hpp>
#include <charconv>
#include <exception>

#include "base/log.h"
#include "http/response_head.h"
#include "http/websocket_session.h"

namespace berth::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

constexpr std::size_t kInputStart = 4096;
/// Pipelined answers that are ready together leave in writes of at most so many.
constexpr std::size_t kBatch = 32;
/// A body up to this size is copied behind its head: one buffer is cheaper than two.
constexpr std::size_t kInlineBody = 1024;
/// Kept-alive connections give back larger body buffers.
constexpr std::size_t kKeptBody = 64UL * 1024;

template <class Stream>
constexpr bool kIsTls = std::is_same_v<Stream, TlsStream>;

bool is_request_id(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!plain) return false;
  }
  return true;
}

int status_of(const beast::error_code& error) {
  if (error == beast::http::error::header_limit) return 431;
  if (error == beast::http::error::body_limit) return 413;
  return 400;
}

bool is_under(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

}  // namespace

template <class Stream>
Connection<Stream>::Connection(Stream stream, IoThread& thread, std::shared_ptr<const ListenerState> listener,
                               IpAddress peer)
    : stream_(std::move(stream)),
      thread_(thread),
      state_(thread.state()),
      listener_(std::move(listener)),
      peer_address_(peer),
      peer_{peer.text(), peer.is_loopback(), kIsTls<Stream>},
      peer_is_proxy_(state_.proxies.trusts(peer)),
      input_(kInputStart) {
  thread_.track(this);
}

template <class Stream>
Connection<Stream>::~Connection() {
  thread_.untrack(this);
  if (counted_) release_connection(state_, peer_.address);
}

template <class Stream>
void Connection<Stream>::start() {
  if constexpr (kIsTls<Stream>) {
    set_phase(Phase::handshake, state_.settings.limits.header_time);
    auto self = this->shared_from_this();
    stream_.async_handshake(asio::ssl::stream_base::server, [self](const boost::system::error_code& error) {
      if (error) return self->close();
      self->set_phase(Phase::idle, self->state_.settings.limits.header_time);
      self->read();
    });
  } else {
    boost::system::error_code ignored;
    stream_.non_blocking(true, ignored);
    // The first request must come as quickly as any header.
    set_phase(Phase::idle, state_.settings.limits.header_time);
    read();
  }
}

template <class Stream>
void Connection<Stream>::set_phase(Phase phase, std::chrono::milliseconds limit) {
  phase_ = phase;
  deadline_ = std::chrono::steady_clock::now() + limit;
}

template <class Stream>
void Connection<Stream>::check_time(Instant now) {
  if (phase_ == Phase::working || phase_ == Phase::closed || now < deadline_) return;
  if (phase_ == Phase::header || phase_ == Phase::body) {
    state_.timed_out->add();
    // A cancelled read leaves a TLS stream unusable, so only a plain one is told why.
    if (kIsTls<Stream> || writing_) return close();
    boost::system::error_code ignored;
    stream_.lowest_layer().cancel(ignored);
    refuse(408);
    return process();
  }
  abort();
}

template <class Stream>
void Connection<Stream>::begin_drain() {
  keep_alive_ = false;
  if (phase_ == Phase::idle) close();
}

template <class Stream>
void Connection<Stream>::abort() {
  close();
}

template <class Stream>
void Connection<Stream>::read() {
  if (phase_ == Phase::closed) return;
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
  } else if (input_end_ == input_.size()) {
    std::copy(input_.begin() + static_cast<std::ptrdiff_t>(input_begin_),
              input_.begin() + static_cast<std::ptrdiff_t>(input_end_), input_.begin());
    input_end_ -= input_begin_;
    input_begin_ = 0;
    if (input_end_ == input_.size()) input_.resize(input_.size() * 2);
  }
  stream_.async_read_some(asio::buffer(input_.data() + input_end_, input_.size() - input_end_),
                          [self = this->shared_from_this()](const boost::system::error_code& error, std::size_t bytes) {
                            self->on_read(error, bytes);
                          });
}

template <class Stream>
void Connection<Stream>::on_read(const boost::system::error_code& error, std::size_t bytes) {
  if (phase_ == Phase::closed) return;
  if (error == asio::error::operation_aborted) return;
  if (error) return close();
  state_.received_bytes->add(bytes);
  input_end_ += bytes;
  if (!writing_ && !waiting_) process();
}

template <class Stream>
void Connection<Stream>::process() {
  for (;;) {
    while (keep_alive_ && queued_count_ < kBatch && parse()) {
      if (handle() == Outcome::waiting) break;
    }
    if (queued_count_ == 0) break;
    if (!write() || !go_on()) return;
  }
  if (upgrade_handler_) return upgrade();
  if (waiting_) return;
  if (!keep_alive_) return shut_down();
  read();
}

template <class Stream>
void Connection<Stream>::begin_request() {
  request_.method = Method::get;
  request_.headers.clear();
  if (request_.body.capacity() > kKeptBody) request_.body = {};
  request_.body.clear();
  request_.language.reset();
  request_.meter = nullptr;
  request_.caller.clear();
  request_.received = std::chrono::steady_clock::now();
  application_ = listener_->fallback.get();
  parser_.emplace(request_, state_.settings.limits.header_bytes, [this](const Request& request) {
    request_.peer = peer_is_proxy_ ? state_.proxies.resolve(peer_address_, peer_.secure, request_.headers) : peer_;
    const std::string_view path = request.path;
    for (const Mount& mount : listener_->mounts) {
      if (is_under(path, mount.prefix)) return mount.application->body_limit(request);
    }
    return std::size_t{0};
  });
  phase_ = Phase::header;
  deadline_ = request_.received + state_.settings.limits.header_time;
}

/// True when a whole request stands in `request_`; false when more input is needed or it was refused.
template <class Stream>
bool Connection<Stream>::parse() {
  while (input_begin_ < input_end_) {
    if (!parser_) begin_request();
    boost::system::error_code error;
    const std::size_t used =
        parser_->put(asio::const_buffer(input_.data() + input_begin_, input_end_ - input_begin_), error);
    input_begin_ += used;
    if (error && error != beast::http::error::need_more) {
      refuse(status_of(error));
      return false;
    }
    if (parser_->is_done()) return true;
    if (phase_ == Phase::header && parser_->is_header_done()) {
      set_phase(Phase::body, state_.settings.limits.body_time);
      if (parser_->wants_continue()) {
        parser_->continue_sent();
        if (queued_.size() == queued_count_) queued_.emplace_back();
        queued_[queued_count_++].head = "HTTP/1.1 100 Continue\r\n\r\n";
        return false;
      }
    }
    if (error == beast::http::error::need_more || used == 0) break;
  }
  return false;
}

/// Answers what never became a request, and ends the connection behind it.
template <class Stream>
void Connection<Stream>::refuse(int status) {
  keep_alive_ = false;
  request_.id = RequestId(state_.id_prefix + std::to_string(state_.next_id.fetch_add(1)));
  request_.peer = peer_;
  finish(listener_->fallback->refuse(status, request_.language_or(Language::zh)));
}

template <class Stream>
auto Connection<Stream>::handle() -> Outcome {
  phase_ = Phase::working;
  keep_alive_ = keep_alive_ && parser_->version() == 11 && parser_->keep_alive() &&
                !state_.draining.load(std::memory_order_relaxed);
  std::array<char, 20> digits{};
  const auto number = std::to_chars(digits.data(), digits.data() + digits.size(),
                                    state_.next_id.fetch_add(1, std::memory_order_relaxed));
  std::string id;
  if (peer_is_proxy_) {
    const auto given = request_.header("X-Request-Id");
    if (given && is_request_id(*given)) id = *given;
  }
  if (id.empty()) id.append(state_.id_prefix).append(digits.data(), number.ptr);
  request_.id = RequestId(std::move(id));

  const bool named = parser_->version() < 11 || request_.header("Host").has_value();
  const bool rooted = request_.path.starts_with('/') || (request_.method == Method::options && request_.path == "*");
  if (!named || !rooted) {
    keep_alive_ = false;
    finish(listener_->fallback->refuse(400, request_.language_or(Language::zh)));
    return Outcome::answered;
  }
  return dispatch();
}

template <class Stream>
auto Connection<Stream>::dispatch() -> Outcome {
  if (answer_preflight()) return Outcome::answered;
  for (const Mount& mount : listener_->mounts) {
    if (!is_under(request_.path, mount.prefix)) continue;
    application_ = mount.application.get();
    request_.path.erase(0, mount.prefix.size());
    if (request_.path.empty()) request_.path = "/";
    break;
  }
  Dispatch decision = decide();
  if (auto* response = std::get_if<Response>(&decision)) {
    finish(std::move(*response));
    return Outcome::answered;
  }
  if (auto* change = std::get_if<Upgrade>(&decision)) {
    upgrade_handler_ = std::move(change->handler);
    keep_alive_ = false;
    parser_.reset();
    return Outcome::waiting;
  }
  auto& deferred = std::get<Deferred>(decision);
  waiting_ = true;
  const auto self = this->shared_from_this();
  const bool taken = deferred.pool->submit([self, work = std::move(deferred.work)]() mutable {
    Response response = self->guarded(work);
    asio::post(self->thread_.context(), [self, response = std::move(response)]() mutable {
      self->waiting_ = false;
      if (self->phase_ == Phase::closed) return;
      self->finish(std::move(response));
      if (!self->writing_) self->process();
    });
  });
  if (taken) return Outcome::waiting;
  waiting_ = false;
  finish(deferred.overloaded());
  return Outcome::answered;
}

/// An exception is a bug: the caller gets the contract's own 500, the log the rest.
template <class Stream>
Dispatch Connection<Stream>::decide() {
  try {
    return application_->dispatch(request_);
  } catch (const std::exception& exception) {
    log::error("http", "{} {} threw: {}", name(request_.method), request_.path, exception.what());
    return application_->refuse(500, request_.language_or(Language::zh));
  }
}

template <class Stream>
Response Connection<Stream>::guarded(std::move_only_function<Response()>& work) {
  try {
    return work();
  } catch (const std::exception& exception) {
    log::error("http", "{} {} threw: {}", name(request_.method), request_.path, exception.what());
    return application_->refuse(500, request_.language_or(Language::zh));
  }
}

template <class Stream>
std::string_view Connection<Stream>::allowed_origin() const {
  const auto& allowed = state_.settings.allowed_origins;
  if (allowed.empty()) return {};
  const auto origin = request_.header("Origin");
  if (!origin) return {};
  for (const std::string& candidate : allowed) {
    if (candidate == "*") return "*";
    if (candidate == *origin) return *origin;
  }
  return {};
}

/// A CORS preflight (Fetch standard) is answered here, from the configuration alone.
template <class Stream>
bool Connection<Stream>::answer_preflight() {
  if (request_.method != Method::options || !request_.header("Access-Control-Request-Method")) return false;
  if (allowed_origin().empty()) return false;
  Response response;
  response.status = 204;
  response.headers.add("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  response.headers.add("Access-Control-Allow-Headers",
                       "Authorization, Content-Type, X-API-Key, Accept-Language, If-None-Match");
  response.headers.add("Access-Control-Max-Age", "600");
  finish(std::move(response));
  return true;
}

template <class Stream>
void Connection<Stream>::finish(Response response) {
  if (response.close) keep_alive_ = false;
  HeadOptions options;
  options.date = thread_.date();
  options.request_id = request_.id.value();
  options.allowed_origin = allowed_origin();

  const std::string& plain = response.content ? response.content->bytes() : response.body;
  const std::string* body = &plain;
  const bool reading = request_.method == Method::get || request_.method == Method::head;
  if (response.content && response.status == 200 && reading) {
    options.etag = response.content->etag();
    const auto known = request_.header("If-None-Match");
    if (known && etag_matches(*known, options.etag)) response.status = 304;
  }
  const bool compressible = plain.size() >= state_.settings.compress_from && response.status != 304 &&
                            !response.headers.find("Content-Encoding");
  std::shared_ptr<const Content> compressed_once;
  if (compressible) {
    options.vary_encoding = true;
    const auto encodings = request_.header("Accept-Encoding");
    if (encodings && accepts_gzip(*encodings)) {
      if (!response.content) {
        compressed_once = std::make_shared<Content>(response.content_type, std::move(response.body), "");
        body = &compressed_once->bytes();
      }
      const Content& content = response.content ? *response.content : *compressed_once;
      if (const std::string* small = content.gzip()) {
        body = small;
        options.gzip = true;
      }
    }
  }
  const bool bodiless = response.status == 204 || response.status == 304;
  options.content_length = bodiless ? 0 : body->size();
  options.keep_alive = keep_alive_;

  if (queued_.size() == queued_count_) queued_.emplace_back();
  Outgoing& out = queued_[queued_count_++];
  out.head.clear();
  append_head(out.head, response, options);
  const bool send_body = !bodiless && request_.method != Method::head;
  if (send_body && body->size() <= kInlineBody) {
    out.head += *body;
  } else if (send_body && body == &response.body) {
    out.body = std::move(response.body);
  } else if (send_body) {
    out.content = compressed_once ? std::move(compressed_once) : response.content;
    out.shared_body = *body;
  }

  const auto duration = std::chrono::steady_clock::now() - request_.received;
  if (request_.meter != nullptr) {
    request_.meter->duration->observe(duration);
    request_.meter->outcomes[static_cast<std::size_t>(response.status / 100) % 6]->add();
  }
  thread_.log_access(request_, response.status, send_body ? options.content_length : 0, duration);
  parser_.reset();
}

/// Sends what is queued. True when the kernel took all of it at once; otherwise on_written() follows, or it failed.
template <class Stream>
bool Connection<Stream>::write() {
  set_phase(Phase::writing, state_.settings.limits.write_time);
  std::swap(queued_, sending_);
  buffers_.clear();
  for (std::size_t i = 0; i < queued_count_; ++i) {
    const Outgoing& out = sending_[i];
    buffers_.emplace_back(out.head.data(), out.head.size());
    if (!out.body.empty()) buffers_.emplace_back(out.body.data(), out.body.size());
    if (!out.shared_body.empty()) buffers_.emplace_back(out.shared_body.data(), out.shared_body.size());
  }
  queued_count_ = 0;
  std::span<asio::const_buffer> rest(buffers_);
  if constexpr (!kIsTls<Stream>) {
    const auto taken = send_now();
    if (!taken) {
      close();
      return false;
    }
    state_.sent_bytes->add(*taken);
    std::size_t gone = *taken;
    while (!rest.empty() && gone >= rest.front().size()) {
      gone -= rest.front().size();
      rest = rest.subspan(1);
    }
    if (rest.empty()) return true;
    rest.front() += gone;
  }
  writing_ = true;
  asio::async_write(stream_, std::span<const asio::const_buffer>(rest),
                    [self = this->shared_from_this()](const boost::system::error_code& error, std::size_t bytes) {
                      self->on_written(error, bytes);
                    });
  return false;
}

/// What the kernel takes of `buffers_` without waiting, in bytes; nothing if the connection is broken. Most answers
/// fit the socket's buffer, and then no handler has to be queued.
template <class Stream>
std::optional<std::size_t> Connection<Stream>::send_now() {
  boost::system::error_code error;
  const auto& [head, body, content, shared_body] = sending_.front();
  const bool alone = buffers_.size() == 2 && !shared_body.empty() && shared_body.data() == content->bytes().data();
  const int file = alone ? content->file_for_use() : -1;
  auto& socket = boost::beast::get_lowest_layer(stream_);
  if (file < 0) {
    const std::size_t taken = socket.write_some(std::span<const asio::const_buffer>(buffers_), error);
    return error && error != asio::error::would_block ? std::nullopt : std::optional(taken);
  }
  const std::size_t taken = socket.send(asio::buffer(head), MSG_MORE, error);
  if (error && error != asio::error::would_block) return std::nullopt;
  if (taken < head.size()) return taken;
  off_t offset = 0;
  const auto sent = ::sendfile(socket.native_handle(), file, &offset, shared_body.size());
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return std::nullopt;
  return taken + static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
}

template <class Stream>
void Connection<Stream>::on_written(const boost::system::error_code& error, std::size_t bytes) {
  writing_ = false;
  state_.sent_bytes->add(bytes);
  if (error) close();
  if (go_on()) process();
}

/// Behind a write: gives back what was sent; true if there may be more to do now.
template <class Stream>
bool Connection<Stream>::go_on() {
  for (Outgoing& out : sending_) {
    out.content.reset();
    out.shared_body = {};
    out.body.clear();
  }
  if (phase_ == Phase::closed) return false;
  if (waiting_) {
    phase_ = Phase::working;
    return false;
  }
  if (parser_) {
    // A "100 Continue" went out; the body follows.
    set_phase(Phase::body, state_.settings.limits.body_time);
  } else if (queued_count_ == 0 && !upgrade_handler_ && keep_alive_ && input_begin_ == input_end_) {
    set_phase(Phase::idle, state_.settings.limits.idle_time);
  }
  return true;
}

template <class Stream>
void Connection<Stream>::upgrade() {
  phase_ = Phase::closed;
  counted_ = false;
  thread_.untrack(this);
  thread_.log_access(request_, 101, 0, std::chrono::steady_clock::now() - request_.received);
  start_websocket(std::move(stream_), thread_, request_, std::move(upgrade_handler_));
}

/// Sends what TLS owes, then waits a moment for the peer to take the last answer before the socket closes:
/// closing with unread input would make the kernel reset the connection and lose the answer.
template <class Stream>
void Connection<Stream>::shut_down() {
  set_phase(Phase::writing, std::chrono::seconds(2));
  const auto self = this->shared_from_this();
  const auto linger = [self] {
    boost::system::error_code ignored;
    self->stream_.lowest_layer().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    self->input_begin_ = self->input_end_ = 0;
    self->stream_.lowest_layer().async_wait(asio::ip::tcp::socket::wait_read,
                                            [self](const boost::system::error_code&) { self->drain_input(); });
  };
  if constexpr (kIsTls<Stream>) {
    stream_.async_shutdown([linger](const boost::system::error_code&) { linger(); });
  } else {
    linger();
  }
}

template <class Stream>
void Connection<Stream>::drain_input() {
  if (phase_ == Phase::closed) return;
  auto& socket = boost::beast::get_lowest_layer(stream_);
  boost::system::error_code error;
  socket.non_blocking(true, error);
  // Bounded: a peer that keeps sending is cut off.
  for (int rounds = 0; rounds < 16 && !error; ++rounds) {
    const std::size_t bytes = socket.read_some(asio::buffer(input_), error);
    if (bytes == 0) break;
  }
  if (error != asio::error::would_block) return close();
  socket.async_wait(asio::ip::tcp::socket::wait_read,
                    [self = this->shared_from_this()](const boost::system::error_code& failed) {
                      if (failed) return self->close();
                      self->drain_input();
                    });
}

template <class Stream>
void Connection<Stream>::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  boost::system::error_code ignored;
  stream_.lowest_layer().close(ignored);
}

template class Connection<TcpSocket>;
template class Connection<TlsStream>;

}  // namespace berth::http
