#include "notify/webhook.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/encoding.h"

namespace berth::notify {
namespace {

constexpr std::size_t kLongestUrl = 2048;
constexpr std::size_t kAnswerLimit = 1UL << 20U;

Error bad_url() {
  const Text message{"应为 http:// 或 https:// 地址，不含用户名、密码和片段",
                     "This must be an http:// or https:// address without credentials or fragment"};
  return Error(ErrorCode::invalid_argument, "webhook.url", message).with_field("url", message);
}

bool is_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    return host.size() >= 2 && std::ranges::all_of(host, [](char c) {
             return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
           });
  }
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

/// Host and optional port.
bool is_authority(std::string_view text) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return is_host(text);
  return is_host(text.substr(0, colon)) && is_port(text.substr(colon + 1));
}

Error as_webhook_error(const Error& error) {
  const auto same = [&](ErrorCode code, std::string_view reason, Text message) {
    return Error(code, reason, std::move(message)).with_detail(error.describe());
  };
  if (error.code() == ErrorCode::cancelled) {
    return same(ErrorCode::cancelled, "webhook.stopped", {"正在关闭", "shutting down"});
  }
  if (error.reason() == "http.timeout" || error.reason() == "http.protocol" || error.reason() == "http.too_large") {
    return same(
        ErrorCode::deadline_exceeded, "webhook.uncertain",
        {"接收方没有可理解的应答，消息可能已送达", "The receiver gave no sensible answer; it may have the message"});
  }
  return same(ErrorCode::unavailable, "webhook.unreachable", {"无法连接接收方", "The receiver cannot be reached"});
}

}  // namespace

bool Webhook::takes(NoticeKind kind) const {
  return notices.empty() || kind == NoticeKind::test || std::ranges::find(notices, kind) != notices.end();
}

Result<WebhookUrl> WebhookUrl::parse(std::string_view text) {
  if (text.size() > kLongestUrl) return bad_url();
  const auto sound = [](char c) {
    return c > ' ' && c < 0x7f && std::string_view("\"<>\\^`{|}#").find(c) == std::string_view::npos;
  };
  if (!std::ranges::all_of(text, sound)) return bad_url();
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return bad_url();
  if (text.substr(0, scheme) != "http" && text.substr(0, scheme) != "https") return bad_url();
  const std::size_t begin = scheme + 3;
  const std::size_t end = std::min(text.find_first_of("/?", begin), text.size());
  if (!is_authority(text.substr(begin, end - begin))) return bad_url();
  WebhookUrl url{std::string(text.substr(0, end)), std::string(text.substr(end))};
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

std::string sign(const Secret& secret, std::string_view body, Timestamp at) {
  const std::string signed_part =
      fmt::format("{}.", std::chrono::floor<std::chrono::seconds>(at).time_since_epoch().count());
  const auto bytes = [](std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); };
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, bytes(secret.reveal()), secret.reveal().size());
  crypto_auth_hmacsha256_update(&state, bytes(signed_part), signed_part.size());
  crypto_auth_hmacsha256_update(&state, bytes(body), body.size());
  std::array<unsigned char, crypto_auth_hmacsha256_BYTES> mac{};
  crypto_auth_hmacsha256_final(&state, mac.data());
  return fmt::format("t={},v1={}", signed_part.substr(0, signed_part.size() - 1),
                     to_hex({reinterpret_cast<const char*>(mac.data()), mac.size()}));
}

Result<void> WebhookClient::send(const WebhookMessage& message, Timestamp now, Deadline deadline) {
  const WebhookUrl url = BERTH_TRY(WebhookUrl::parse(message.url));
  http::Client::Settings settings;
  settings.endpoint.base_url = url.base;
  settings.response_limit = kAnswerLimit;
  const auto client = std::make_shared<http::Client>(std::move(settings));
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return Error(ErrorCode::cancelled, "webhook.stopped", {"正在关闭", "shutting down"});
    running_.push_back(client);
  }
  http::ClientRequest request;
  request.method = http::Method::post;
  request.target = url.target;
  request.headers = {{"Content-Type", "application/json; charset=utf-8"},
                     {"User-Agent", "berth"},
                     {"X-Berth-Event", message.notice},
                     {"X-Berth-Delivery", message.delivery},
                     {"X-Berth-Signature", sign(message.secret, message.body, now)}};
  request.body = message.body;
  const auto answer = client->send(request, deadline);
  {
    const std::lock_guard lock(mutex_);
    std::erase(running_, client);
  }
  if (!answer) return as_webhook_error(answer.error());
  if (answer->status >= 200 && answer->status < 300) return {};
  const auto detail = fmt::format("status {}", answer->status);
  if (answer->status == 410) {
    return Error(ErrorCode::invalid_argument, "webhook.gone", {"接收方已不存在", "The receiver is gone for good"})
        .with_detail(detail);
  }
  return Error(ErrorCode::unavailable, "webhook.refused",
               {fmt::format("接收方应答 {}", answer->status), fmt::format("The receiver answered {}", answer->status)})
      .with_detail(detail);
}

void WebhookClient::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& client : running_) client->stop();
}

}  // namespace berth::notify
