#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace berth::notify {

/// What can be told.
enum class NoticeKind { rental_expiry, alert_raised, alert_resolved, test };

/// "rental.expiry", "alert.raised", "alert.resolved", "test": what a webhook's receiver goes by.
std::string_view name(NoticeKind kind);
std::optional<NoticeKind> parse_notice_kind(std::string_view word);

/// What a notice says: a template's placeholders and what stands for them. The same names are the members of a
/// webhook's `data`.
using NoticeValues = std::map<std::string, std::string>;

/// The words of one kind of notice, with {placeholders}.
struct Template {
  NoticeKind kind;
  Text subject;
  Text body;
  std::vector<std::string_view> placeholders;  ///< every one that may occur
};

std::span<const Template> templates();
const Template& template_of(NoticeKind kind);

/// Puts each value in place of its placeholder, as it is: what a value holds is not looked at again. A placeholder
/// without a value becomes nothing.
std::string fill(std::string_view text, const NoticeValues& values);

}  // namespace berth::notify
