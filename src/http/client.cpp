#include "http/client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "http/server_trust.h"

namespace berth::http {
namespace {

constexpr std::size_t kHeaderLimit = 256 * 1024;
constexpr std::chrono::milliseconds kLongestPoll{1000};

Error timed_out() {
  return Error(ErrorCode::deadline_exceeded, "http.timeout", Text{"等待应答超时", "no answer within the time allowed"});
}
Error unreachable(std::string detail) {
  return Error(ErrorCode::unavailable, "http.unreachable", Text{"无法连接服务器", "the server cannot be reached"})
      .with_detail(std::move(detail));
}
Error protocol_fault(std::string detail) {
  return Error(ErrorCode::internal, "http.protocol", Text{"服务器的应答无法理解", "the server's answer makes no sense"})
      .with_detail(std::move(detail));
}
Error over_limit(std::size_t limit) {
  return Error(ErrorCode::too_large, "http.too_large", Text{"服务器的应答过大", "the server's answer is too large"})
      .with_detail("limit " + std::to_string(limit) + " bytes");
}
Error stopped() {
  return Error(ErrorCode::cancelled, "http.stopped", Text{"正在关闭", "shutting down"});
}

/// A transfer handle with the connections that it keeps alive. One call uses it at a time.
class Handle {
 public:
  Handle() : multi_(curl_multi_init()), easy_(curl_easy_init()) {
    if (multi_ != nullptr) curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 1L);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
  }

  bool usable() const { return multi_ != nullptr && easy_ != nullptr; }
  CURL* easy() const { return easy_; }
  CURLM* multi() const { return multi_; }

 private:
  CURLM* multi_;
  CURL* easy_;
};

/// Everything that one call collects and what its callbacks need.
struct Exchange {
  ClientResponse response;
  std::size_t limit = 0;
  std::size_t header_bytes = 0;
  bool too_large = false;
  std::FILE* file = nullptr;
  std::uint64_t file_size = 0;
  const Client::Progress* progress = nullptr;
  bool cancelled = false;
  CURL* easy = nullptr;       ///< for `sink`, whose turn depends on the status
  std::FILE* sink = nullptr;  ///< takes the body of a success
  int sink_failure = 0;       ///< errno of a write that failed
};

struct CloseFile {
  void operator()(std::FILE* stream) const { std::fclose(stream); }
};
using FilePointer = std::unique_ptr<std::FILE, CloseFile>;

bool succeeds(const Exchange& exchange) {
  long status = 0;
  curl_easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
  return status >= 200 && status < 300;
}

std::size_t take_body(char* bytes, std::size_t /*one*/, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  if (exchange.sink != nullptr && succeeds(exchange)) {
    errno = 0;
    const std::size_t written = std::fwrite(bytes, 1, count, exchange.sink);
    if (written != count) exchange.sink_failure = errno != 0 ? errno : EIO;
    return written;
  }
  if (exchange.response.body.size() + count > exchange.limit) {
    exchange.too_large = true;
    return 0;
  }
  exchange.response.body.append(bytes, count);
  return count;
}

std::size_t take_header(char* bytes, std::size_t /*one*/, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  exchange.header_bytes += count;
  if (exchange.header_bytes > kHeaderLimit) {
    exchange.too_large = true;
    return 0;
  }
  std::string_view line(bytes, count);
  if (line.starts_with("HTTP/")) {
    // An interim answer (100) came before: only the final one counts.
    exchange.response.headers.clear();
    return count;
  }
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return count;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  exchange.response.headers.push_back({std::string(line.substr(0, colon)), std::string(value)});
  return count;
}

std::size_t give_file(char* buffer, std::size_t /*one*/, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::size_t got = std::fread(buffer, 1, count, exchange.file);
  if (got == 0 && std::ferror(exchange.file) != 0) return CURL_READFUNC_ABORT;
  return got;
}

int rewind_file(void* user, curl_off_t offset, int origin) {
  auto& exchange = *static_cast<Exchange*>(user);
  return fseeko(exchange.file, offset, origin) == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

int take_progress(void* user, curl_off_t in_all, curl_off_t received, curl_off_t /*in_all*/, curl_off_t sent) {
  auto& exchange = *static_cast<Exchange*>(user);
  const bool upload = exchange.file != nullptr;
  const auto all = upload ? exchange.file_size : static_cast<std::uint64_t>(std::max<curl_off_t>(in_all, 0));
  auto done = static_cast<std::uint64_t>(upload ? sent : received);
  if (upload) done = std::min(done, all);
  // Also without news: the caller may have lost its patience.
  if (!(*exchange.progress)(done, all)) exchange.cancelled = true;
  return exchange.cancelled ? 1 : 0;
}

bool breaks_line(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

Result<void> check(const ClientRequest& request) {
  bool sound = request.target.starts_with('/') && request.method != Method::other;
  for (const char c : request.target) sound = sound && static_cast<unsigned char>(c) > ' ' && c != '\x7f';
  for (const auto& header : request.headers) {
    sound = sound && !header.name.empty() && !breaks_line(header.name) && !breaks_line(header.value);
  }
  if (sound) return {};
  return Error(ErrorCode::invalid_argument, "http.request",
               Text{"请求中含有不允许的字符", "the request holds characters that are not allowed"});
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

HeaderList make_header_list(const ClientRequest& request) {
  HeaderList list;
  const auto add = [&list](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(list.release());
    list.reset(longer);
  };
  // Waiting for "100 Continue" costs a second with servers that never send it.
  add("Expect:");
  bool typed = false;
  for (const auto& header : request.headers) {
    typed = typed || curl_strequal(header.name.c_str(), "Content-Type") != 0;
    add(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
  }
  if (!typed) add("Content-Type:");
  return list;
}

Error sink_error(int failure) {
  std::string detail = "writing the file: " + std::generic_category().message(failure);
  if (failure != ENOSPC && failure != EDQUOT && failure != EFBIG) return internal_error(std::move(detail));
  return Error(ErrorCode::exhausted, "http.disk_full", Text{"磁盘空间不足", "there is no space left on the disk"})
      .with_detail(std::move(detail));
}

/// What became of the transfer. `answered`: at least one byte of an answer came.
Error transfer_error(CURLcode code, const Exchange& exchange, Deadline deadline, std::string detail) {
  if (exchange.too_large) return over_limit(exchange.limit);
  if (exchange.cancelled) {
    return Error(ErrorCode::cancelled, "http.cancelled", Text{"传输已取消", "the transfer was cancelled"});
  }
  if (exchange.sink_failure != 0) return sink_error(exchange.sink_failure);
  const bool answered = exchange.header_bytes > 0;
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return deadline.expired() ? timed_out() : unreachable(std::move(detail));
    case CURLE_PARTIAL_FILE:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:  // an answer that does not begin as HTTP does
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
      return protocol_fault(std::move(detail));
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
      return answered ? protocol_fault(std::move(detail)) : unreachable(std::move(detail));
    case CURLE_READ_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
      return internal_error("the file to send could not be read: " + detail);
    case CURLE_OUT_OF_MEMORY:
      throw std::bad_alloc();
    default:
      return answered ? protocol_fault(std::move(detail)) : unreachable(std::move(detail));
  }
}

}  // namespace

struct Client::Impl {
  explicit Impl(Settings s) : settings(std::move(s)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  }

  Result<std::unique_ptr<Handle>> borrow();
  void give_back(std::unique_ptr<Handle> handle, bool reusable);
  Result<void> prepare(CURL* easy, const ClientRequest& request, Deadline deadline, Exchange& exchange,
                       curl_slist* headers);
  Result<void> prepare_tls(CURL* easy);
  Result<CURLcode> drive(Handle& handle, Deadline deadline);
  Result<ClientResponse> perform(const ClientRequest& request, Exchange& exchange, Deadline deadline);

  Settings settings;
  std::mutex mutex;
  bool stopping = false;
  std::vector<std::unique_ptr<Handle>> idle;
  std::unordered_set<CURLM*> running;
};

Result<std::unique_ptr<Handle>> Client::Impl::borrow() {
  const std::lock_guard lock(mutex);
  if (stopping) return stopped();
  std::unique_ptr<Handle> handle;
  if (idle.empty()) {
    handle = std::make_unique<Handle>();
    if (!handle->usable()) throw std::bad_alloc();
  } else {
    handle = std::move(idle.back());
    idle.pop_back();
  }
  running.insert(handle->multi());
  return handle;
}

void Client::Impl::give_back(std::unique_ptr<Handle> handle, bool reusable) {
  const std::lock_guard lock(mutex);
  running.erase(handle->multi());
  if (reusable && !stopping && idle.size() < settings.idle_connections) idle.push_back(std::move(handle));
}

Result<void> Client::Impl::prepare_tls(CURL* easy) {
  const Endpoint& endpoint = settings.endpoint;
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!endpoint.client_certificate.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERT, endpoint.client_certificate.c_str());
    curl_easy_setopt(easy, CURLOPT_SSLKEY, endpoint.client_key.c_str());
  }
  if (endpoint.server_certificate.empty()) return {};
  const ServerTrust trust = BERTH_TRY(read_server_trust(endpoint.server_certificate));
  curl_easy_setopt(easy, CURLOPT_CAINFO, endpoint.server_certificate.c_str());
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  if (trust.pinned) {
    curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, trust.public_key_pin.c_str());
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  return {};
}

Result<void> Client::Impl::prepare(CURL* easy, const ClientRequest& request, Deadline deadline, Exchange& exchange,
                                   curl_slist* headers) {
  curl_easy_reset(easy);
  const Endpoint& endpoint = settings.endpoint;
  curl_easy_setopt(easy, CURLOPT_URL, (endpoint.base_url + request.target).c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  const auto connect = std::max(std::chrono::milliseconds(1), std::min(settings.connect_time, deadline.remaining()));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect.count()));
  if (!endpoint.unix_socket.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint.unix_socket.c_str());
  }
  if (endpoint.base_url.starts_with("https:")) BERTH_CHECK(prepare_tls(easy));

  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);

  if (exchange.progress != nullptr) {
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, take_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &exchange);
  }
  exchange.easy = easy;

  const std::string method(name(request.method));
  if (exchange.file != nullptr) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(exchange.file_size));
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_file);
    curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_file);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  } else if (request.method == Method::head) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (request.method != Method::get || !request.body.empty()) {
    if (!request.body.empty() || request.method == Method::post || request.method == Method::put ||
        request.method == Method::patch) {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
  }
  return {};
}

Result<CURLcode> Client::Impl::drive(Handle& handle, Deadline deadline) {
  while (true) {
    int active = 0;
    if (curl_multi_perform(handle.multi(), &active) != CURLM_OK) return internal_error("curl_multi_perform failed");
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(handle.multi(), &left)) {
      if (message->msg == CURLMSG_DONE) return CURLcode(message->data.result);
    }
    {
      const std::lock_guard lock(mutex);
      if (stopping) return stopped();
    }
    const auto remaining = deadline.remaining();
    if (remaining.count() <= 0) return timed_out();
    curl_multi_poll(handle.multi(), nullptr, 0, static_cast<int>(std::min(remaining, kLongestPoll).count()), nullptr);
  }
}

Result<ClientResponse> Client::Impl::perform(const ClientRequest& request, Exchange& exchange, Deadline deadline) {
  BERTH_CHECK(check(request));
  if (deadline.expired()) return timed_out();
  exchange.limit = settings.response_limit;
  const HeaderList headers = make_header_list(request);
  std::unique_ptr<Handle> handle = BERTH_TRY(borrow());
  if (auto prepared = prepare(handle->easy(), request, deadline, exchange, headers.get()); !prepared) {
    give_back(std::move(handle), false);
    return take_error(prepared);
  }
  std::array<char, CURL_ERROR_SIZE> text{};
  curl_easy_setopt(handle->easy(), CURLOPT_ERRORBUFFER, text.data());
  curl_multi_add_handle(handle->multi(), handle->easy());
  auto code = drive(*handle, deadline);
  long status = 0;
  curl_easy_getinfo(handle->easy(), CURLINFO_RESPONSE_CODE, &status);
  curl_multi_remove_handle(handle->multi(), handle->easy());
  curl_easy_setopt(handle->easy(), CURLOPT_ERRORBUFFER, nullptr);
  const bool done = code && *code == CURLE_OK;
  give_back(std::move(handle), done);
  if (!code) return take_error(code);
  if (!done) {
    std::string detail = text[0] != '\0' ? std::string(text.data()) : std::string(curl_easy_strerror(*code));
    return transfer_error(*code, exchange, deadline, std::move(detail));
  }
  if (status < 100 || status > 599) return protocol_fault("status " + std::to_string(status));
  exchange.response.status = static_cast<int>(status);
  return std::move(exchange.response);
}

Client::Client(Settings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {}
Client::~Client() = default;

Result<ClientResponse> Client::send(const ClientRequest& request, Deadline deadline) {
  Exchange exchange;
  return impl_->perform(request, exchange, deadline);
}

Result<ClientResponse> Client::upload(const ClientRequest& request, const std::string& file, Deadline deadline,
                                      const Progress& progress) {
  const FilePointer stream(std::fopen(file.c_str(), "rbe"));
  std::error_code failure;
  const std::uintmax_t size = std::filesystem::file_size(file, failure);
  if (!stream || failure) {
    return Error(ErrorCode::invalid_argument, "http.file",
                 Text{"无法读取要上传的文件", "the file to upload cannot be read"})
        .with_detail(file);
  }
  Exchange exchange;
  exchange.file = stream.get();
  exchange.file_size = size;
  if (progress) exchange.progress = &progress;
  return impl_->perform(request, exchange, deadline);
}

Result<ClientResponse> Client::download(const ClientRequest& request, const std::string& file, Deadline deadline,
                                        const Progress& progress) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    const int failure = errno;
    if (failure == ENOSPC || failure == EDQUOT) return sink_error(failure);
    return Error(failure == EEXIST ? ErrorCode::already_exists : ErrorCode::internal, "http.file",
                 Text{"无法创建要写入的文件", "the file to write cannot be made"})
        .with_detail(file + ": " + std::generic_category().message(failure));
  }
  FilePointer stream(::fdopen(descriptor, "wb"));
  Exchange exchange;
  exchange.sink = stream.get();
  if (progress) exchange.progress = &progress;
  auto response = impl_->perform(request, exchange, deadline);
  const bool kept = response && response->status >= 200 && response->status < 300;
  // What was buffered meets a full disk only now.
  const bool written = std::fflush(stream.get()) == 0;
  const int failure = errno;
  stream.reset();
  if (kept && written) return response;
  ::unlink(file.c_str());
  if (kept) return sink_error(failure);
  return response;
}

void Client::stop() {
  const std::lock_guard lock(impl_->mutex);
  impl_->stopping = true;
  for (CURLM* multi : impl_->running) curl_multi_wakeup(multi);
}

}  // namespace berth::http
