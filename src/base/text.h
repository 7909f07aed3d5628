#pragma once

#include <string>
#include <string_view>

namespace berth {

/// The languages in which Berth speaks to people. Wire codes and field names never change with it.
enum class Language { zh, en };

/// A message for a person in both languages. Never holds a secret, an SQL text or a server path.
struct Text {
  std::string zh;
  std::string en;

  const std::string& in(Language language) const { return language == Language::en ? en : zh; }
  bool operator==(const Text&) const = default;
};

}  // namespace berth
