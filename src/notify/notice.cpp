#include "notify/notice.h"

#include <algorithm>
#include <array>

namespace berth::notify {
namespace {

struct KindName {
  NoticeKind kind;
  std::string_view name;
};
constexpr std::array<KindName, 4> kNames = {{{NoticeKind::rental_expiry, "rental.expiry"},
                                             {NoticeKind::alert_raised, "alert.raised"},
                                             {NoticeKind::alert_resolved, "alert.resolved"},
                                             {NoticeKind::test, "test"}}};

const std::vector<Template>& all() {
  static const std::vector<Template> templates = {
      {NoticeKind::rental_expiry,
       {"容器 {container} 的租赁将于 {expiry_date} 到期", "The rental of container {container} ends on {expiry_date}"},
       {"{username}，您好：\n\n"
        "您租用的容器 {container} 将于 {expiry_date} 到期。\n"
        "到期后容器会停止；{grace_days} 天后容器会归档，续租即可恢复。\n\n"
        "—— Berth\n",
        "Hello {username},\n\n"
        "Your rental of container {container} ends on {expiry_date}.\n"
        "The container is stopped then, and archived {grace_days} days later. Renewing the rental brings it back.\n\n"
        "-- Berth\n"},
       {"username", "container", "expiry_date", "grace_days"}},
      {NoticeKind::alert_raised,
       {"[{severity}] {message}：{subject}", "[{severity}] {message}: {subject}"},
       {"告警：{message}\n\n"
        "类型：{type}\n对象：{subject}\n当前值：{value}\n阈值：{threshold}\n级别：{severity}\n开始时间：{raised_at}\n"
        "告警编号：{episode_id}\n\n—— Berth\n",
        "Alert: {message}\n\n"
        "Type: {type}\nSubject: {subject}\nValue: {value}\nThreshold: {threshold}\nSeverity: {severity}\n"
        "Since: {raised_at}\nEpisode: {episode_id}\n\n-- Berth\n"},
       {"severity", "message", "subject", "type", "value", "threshold", "raised_at", "episode_id"}},
      {NoticeKind::alert_resolved,
       {"[已恢复] {message}：{subject}", "[resolved] {message}: {subject}"},
       {"告警已恢复：{message}\n\n"
        "类型：{type}\n对象：{subject}\n最高值：{peak}\n阈值：{threshold}\n级别：{severity}\n开始时间：{raised_at}\n"
        "恢复时间：{resolved_at}\n告警编号：{episode_id}\n\n—— Berth\n",
        "Resolved: {message}\n\n"
        "Type: {type}\nSubject: {subject}\nWorst value: {peak}\nThreshold: {threshold}\nSeverity: {severity}\n"
        "Since: {raised_at}\nUntil: {resolved_at}\nEpisode: {episode_id}\n\n-- Berth\n"},
       {"severity", "message", "subject", "type", "peak", "threshold", "raised_at", "resolved_at", "episode_id"}},
      {NoticeKind::test,
       {"Berth 测试通知", "Test notification of Berth"},
       {"这是 Berth 的测试通知，由 {actor} 于 {at} 发出。\n如果您收到了它，说明通知可以送达。\n\n—— Berth\n",
        "This is a test notification of Berth, sent by {actor} at {at}.\nWho reads this can be reached.\n\n"
        "-- Berth\n"},
       {"actor", "at"}}};
  return templates;
}

}  // namespace

std::string_view name(NoticeKind kind) {
  for (const KindName& known : kNames) {
    if (known.kind == kind) return known.name;
  }
  return "";
}

std::optional<NoticeKind> parse_notice_kind(std::string_view word) {
  for (const KindName& known : kNames) {
    if (known.name == word) return known.kind;
  }
  return std::nullopt;
}

std::span<const Template> templates() {
  return all();
}

const Template& template_of(NoticeKind kind) {
  return *std::ranges::find(all(), kind, &Template::kind);
}

std::string fill(std::string_view text, const NoticeValues& values) {
  std::string out;
  while (true) {
    const std::size_t open = text.find('{');
    const std::size_t close = open == std::string_view::npos ? open : text.find('}', open);
    if (close == std::string_view::npos) return out.append(text);
    out += text.substr(0, open);
    const auto found = values.find(std::string(text.substr(open + 1, close - open - 1)));
    if (found != values.end()) out += found->second;
    text.remove_prefix(close + 1);
  }
}

}  // namespace berth::notify
