#include "json/write.h"

#include <charconv>
#include <cmath>

namespace berth::json {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// How a byte of a string is written: as it is, as the start of a UTF-8 sequence that must be
/// checked, or as the escape whose letter stands here ('u' for \u00XX).
constexpr char kPlain = 0;
constexpr char kMultibyte = 1;
constexpr auto kEscapes = [] {
  std::array<char, 256> table{};
  for (std::size_t byte = 0; byte < 0x20; ++byte) table[byte] = 'u';
  for (std::size_t byte = 0x80; byte < 0x100; ++byte) table[byte] = kMultibyte;
  table['"'] = '"';
  table['\\'] = '\\';
  table['\b'] = 'b';
  table['\f'] = 'f';
  table['\n'] = 'n';
  table['\r'] = 'r';
  table['\t'] = 't';
  return table;
}();

struct Sequence {
  std::size_t length;  // of the sequence, or of the part of it that no reader could continue
  bool valid;
};

/// Looks at the UTF-8 sequence at the front of `text`, whose first byte is not ASCII.
Sequence measure_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  std::size_t length = 0;
  // The second byte's range excludes overlong forms, surrogates and what lies beyond U+10FFFF.
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {1, false};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

void append_escape(std::string& out, unsigned char byte, char escape) {
  out.push_back('\\');
  out.push_back(escape);
  if (escape == 'u') {
    static constexpr char kDigits[] = "0123456789abcdef";
    out.append("00");
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
}

template <class T>
void append_float(std::string& out, T value) {
  if (!std::isfinite(value)) {
    out.append("null");
    return;
  }
  const T size = std::abs(value);
  const bool plain = size == 0 || (size >= T(1e-7) && size < T(1e21));
  std::array<char, 64> text;
  const auto end =
      plain ? std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed).ptr
            : std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific).ptr;
  const std::string_view written(text.data(), static_cast<std::size_t>(end - text.data()));
  out.append(written);
  if (plain && written.find('.') == std::string_view::npos) out.append(".0");
}

template <class T>
void append_whole(std::string& out, T value) {
  std::array<char, 24> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  out.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

}  // namespace

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t run = 0;  // where the bytes that are written as they are begin
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const char escape = kEscapes[byte];
    if (escape == kPlain) {
      ++at;
      continue;
    }
    if (escape == kMultibyte) {
      const Sequence sequence = measure_utf8(text.substr(at));
      if (!sequence.valid) {
        out.append(text.substr(run, at - run)).append(kReplacement);
        run = at + sequence.length;
      }
      at += sequence.length;
      continue;
    }
    out.append(text.substr(run, at - run));
    append_escape(out, byte, escape);
    run = ++at;
  }
  out.append(text.substr(run));
  out.push_back('"');
}

void append_integer(std::string& out, std::int64_t value) {
  append_whole(out, value);
}
void append_unsigned(std::string& out, std::uint64_t value) {
  append_whole(out, value);
}
void append_number(std::string& out, double value) {
  append_float(out, value);
}
void append_number(std::string& out, float value) {
  append_float(out, value);
}

}  // namespace berth::json
