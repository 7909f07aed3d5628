#include "notify/notice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace berth::notify {
namespace {

/// The placeholders of a text.
std::set<std::string> placeholders_of(const std::string& text) {
  std::set<std::string> found;
  for (auto open = text.find('{'); open != std::string::npos; open = text.find('{', open + 1)) {
    found.insert(text.substr(open + 1, text.find('}', open) - open - 1));
  }
  return found;
}

TEST(Notice, HasWordsInBothLanguagesThatSayTheSame) {
  for (const auto& words : templates()) {
    EXPECT_EQ(placeholders_of(words.subject.zh), placeholders_of(words.subject.en)) << name(words.kind);
    EXPECT_EQ(placeholders_of(words.body.zh), placeholders_of(words.body.en)) << name(words.kind);
    EXPECT_FALSE(words.subject.zh.empty() || words.body.zh.empty());
  }
}

TEST(Notice, NamesEveryPlaceholderOfItsTemplate) {
  for (const auto& words : templates()) {
    const std::set<std::string> known(words.placeholders.begin(), words.placeholders.end());
    auto used = placeholders_of(words.subject.en);
    used.merge(placeholders_of(words.body.en));
    EXPECT_EQ(used, known) << name(words.kind);
  }
}

TEST(Notice, HasATemplateAndANameForEachKind) {
  for (const auto kind :
       {NoticeKind::rental_expiry, NoticeKind::alert_raised, NoticeKind::alert_resolved, NoticeKind::test}) {
    EXPECT_EQ(template_of(kind).kind, kind);
    EXPECT_EQ(parse_notice_kind(name(kind)), kind);
  }
  EXPECT_FALSE(parse_notice_kind("rental"));
}

TEST(Notice, PutsValuesInPlaceAndDoesNotLookAtThemAgain) {
  EXPECT_EQ(fill("{a} and {b}", {{"a", "{b}"}, {"b", "2"}}), "{b} and 2");
  EXPECT_EQ(fill("no {such} one", {}), "no  one");
  EXPECT_EQ(fill("an open {brace", {{"brace", "x"}}), "an open {brace");
}

}  // namespace
}  // namespace berth::notify
