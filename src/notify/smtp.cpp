#include "notify/smtp.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "http/server_trust.h"
#include "identity/account_rules.h"

namespace berth::notify {
namespace {

constexpr std::chrono::milliseconds kConnectTime{10'000};
constexpr long kAnswerSeconds = 20;

Error unreachable(std::string detail) {
  return Error(ErrorCode::unavailable, "mail.unreachable", {"无法使用邮件服务器", "The mail server cannot be used"})
      .with_detail(std::move(detail));
}
Error deferred(std::string detail) {
  return Error(ErrorCode::unavailable, "mail.deferred",
               {"邮件服务器暂时拒收", "The mail server does not take the mail for now"})
      .with_detail(std::move(detail));
}
Error rejected(std::string detail) {
  return Error(ErrorCode::invalid_argument, "mail.rejected", {"邮件服务器拒收", "The mail server refuses the mail"})
      .with_detail(std::move(detail));
}
Error uncertain(std::string detail) {
  return Error(ErrorCode::deadline_exceeded, "mail.uncertain",
               {"邮件服务器未确认，邮件可能已送达", "The mail server did not confirm; the mail may have arrived"})
      .with_detail(std::move(detail));
}
Error stopped() {
  return Error(ErrorCode::cancelled, "mail.stopped", {"正在关闭", "shutting down"});
}

struct CleanEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

/// What one transfer needs and what it saw.
struct Exchange {
  std::string message;
  std::size_t given = 0;
  std::string refusal;  ///< the server's first answer of 4xx or 5xx
};

std::size_t give_message(char* buffer, std::size_t one, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::size_t part = std::min(one * count, exchange.message.size() - exchange.given);
  std::memcpy(buffer, exchange.message.data() + exchange.given, part);
  exchange.given += part;
  return part;
}

std::size_t take_line(char* bytes, std::size_t /*one*/, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  std::string_view line(bytes, std::min<std::size_t>(count, 500));
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  const bool refuses = line.starts_with('4') || line.starts_with('5');
  if (refuses && exchange.refusal.empty()) exchange.refusal = line;
  return count;
}

/// libcurl asks at least once a second, also while it waits for an answer or says goodbye, for which nothing else sets
/// a limit.
struct End {
  const std::atomic<bool>& stopping;
  Deadline deadline;
};

int shall_end(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& end = *static_cast<const End*>(user);
  return end.stopping || end.deadline.expired() ? 1 : 0;
}

/// Refusals that are about us and not about the mail: at the greeting, of TLS, of the password. libcurl calls those of
/// MAIL, RCPT and DATA send errors; a message that was given away is refused as such.
bool concerns_us(CURLcode code, long status, const Exchange& exchange) {
  if (status == 530 || status == 534 || status == 535 || status == 538) return true;
  return exchange.given == 0 && code != CURLE_SEND_ERROR;
}

Error failure(CURLcode code, long status, const Exchange& exchange, std::string detail) {
  if (code == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  const bool told = status >= 400 && status < 600;
  if (told) detail = exchange.refusal.empty() ? fmt::format("{} {}", status, detail) : exchange.refusal;
  if (told && concerns_us(code, status, exchange)) return unreachable(std::move(detail));
  if (told) return status < 500 ? deferred(std::move(detail)) : rejected(std::move(detail));
  // Whatever ends the transfer once the message was given away leaves open whether the server has it.
  if (exchange.given == exchange.message.size()) return uncertain(std::move(detail));
  return unreachable(std::move(detail));
}

std::uint16_t port_of(const SmtpSettings& settings) {
  if (settings.port != 0) return settings.port;
  switch (settings.tls) {
    case TlsMode::none:
      return 25;
    case TlsMode::starttls:
      return 587;
    case TlsMode::implicit:
      return 465;
  }
  return 25;
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == ':' || c == '_';
  });
}

}  // namespace

Result<void> check_smtp_settings(const SmtpSettings& settings) {
  std::vector<FieldError> refused;
  if (!is_host(settings.host)) {
    refused.push_back({"host", {"不是主机名或地址", "This is neither a host name nor an address"}});
  }
  if (!identity::valid_email(settings.sender)) {
    refused.push_back({"sender", {"不是邮件地址", "This is no mail address"}});
  }
  if (!settings.username.empty() && settings.password.empty()) {
    refused.push_back({"password", {"有用户名但没有密码", "There is a user name but no password"}});
  }
  if (!settings.password.empty() && settings.tls == TlsMode::none) {
    refused.push_back({"password", {"没有 TLS 时不会发送密码", "Without TLS the password would be sent in the clear"}});
  }
  if (refused.empty()) return {};
  return Error(ErrorCode::invalid_argument, "mail.settings",
               {"邮件服务器设置无效", "The settings of the mail server are invalid"})
      .with_fields(std::move(refused));
}

struct SmtpClient::Impl {
  explicit Impl(SmtpSettings s) : settings(std::move(s)) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  }

  Result<void> prepare(CURL* easy, Exchange& exchange, curl_slist* recipients, const End& end) const;

  const SmtpSettings settings;
  std::atomic<bool> stopping{false};
};

Result<void> SmtpClient::Impl::prepare(CURL* easy, Exchange& exchange, curl_slist* recipients, const End& end) const {
  const Deadline deadline = end.deadline;
  const char* scheme = settings.tls == TlsMode::implicit ? "smtps" : "smtp";
  const bool bare_ipv6 = settings.host.find(':') != std::string::npos;
  const std::string host = bare_ipv6 ? fmt::format("[{}]", settings.host) : settings.host;
  // The path is what we call ourselves in EHLO.
  const std::string name = settings.sender.substr(settings.sender.find('@') + 1);
  curl_easy_setopt(easy, CURLOPT_URL, fmt::format("{}://{}:{}/{}", scheme, host, port_of(settings), name).c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
  const auto connect = std::clamp(deadline.remaining(), std::chrono::milliseconds(1), kConnectTime);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect.count()));
  const auto time = std::max(deadline.remaining(), std::chrono::milliseconds(1));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(time.count()));
  curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, kAnswerSeconds);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, shall_end);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &end);
  if (settings.tls != TlsMode::none) {
    curl_easy_setopt(easy, CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!settings.server_certificate.empty()) {
      const auto trust = BERTH_TRY(http::read_server_trust(settings.server_certificate));
      curl_easy_setopt(easy, CURLOPT_CAINFO, settings.server_certificate.c_str());
      curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
      if (trust.pinned) {
        curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, trust.public_key_pin.c_str());
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
      }
    }
  }
  if (!settings.username.empty()) {
    curl_easy_setopt(easy, CURLOPT_USERNAME, settings.username.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, std::string(settings.password.reveal()).c_str());
  }
  curl_easy_setopt(easy, CURLOPT_MAIL_FROM, fmt::format("<{}>", settings.sender).c_str());
  curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients);
  curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(exchange.message.size()));
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_message);
  curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_line);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_line);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  return {};
}

SmtpClient::SmtpClient(SmtpSettings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {}
SmtpClient::~SmtpClient() = default;

Result<void> SmtpClient::send(const Mail& mail, Deadline deadline) {
  // Whatever else stands in an address could become a command of its own.
  if (!identity::valid_email(mail.to)) return rejected("not a mail address");
  if (impl_->stopping) return stopped();
  deadline = deadline.sooner(impl_->settings.time_limit);
  Exchange exchange;
  exchange.message = compose(mail, impl_->settings.sender, impl_->settings.sender_name);
  const std::unique_ptr<curl_slist, FreeList> recipients(
      curl_slist_append(nullptr, fmt::format("<{}>", mail.to).c_str()));
  const std::unique_ptr<CURL, CleanEasy> easy(curl_easy_init());
  if (!recipients || !easy) throw std::bad_alloc();
  End end{impl_->stopping, deadline};
  BERTH_CHECK(impl_->prepare(easy.get(), exchange, recipients.get(), end));
  std::array<char, CURL_ERROR_SIZE> text{};
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, text.data());
  const CURLcode code = curl_easy_perform(easy.get());
  if (code == CURLE_OK) return {};
  if (impl_->stopping) return stopped();
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  return failure(code, status, exchange, text[0] != '\0' ? text.data() : curl_easy_strerror(code));
}

void SmtpClient::stop() {
  impl_->stopping = true;
}

std::string SmtpClient::domain() const {
  return impl_->settings.sender.substr(impl_->settings.sender.find('@') + 1);
}

}  // namespace berth::notify
