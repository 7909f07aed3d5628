#include "app/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>

namespace berth::app {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// Unicode Standard Annex 11, "W" and "F", in blocks; and the marks that combine with what is before them.
constexpr std::array<Range, 13> kWide = {{{0x1100, 0x115F},
                                          {0x2E80, 0x303E},
                                          {0x3041, 0x33FF},
                                          {0x3400, 0x4DBF},
                                          {0x4E00, 0x9FFF},
                                          {0xA000, 0xA4CF},
                                          {0xAC00, 0xD7A3},
                                          {0xF900, 0xFAFF},
                                          {0xFE30, 0xFE6F},
                                          {0xFF00, 0xFF60},
                                          {0xFFE0, 0xFFE6},
                                          {0x1F300, 0x1FAFF},
                                          {0x20000, 0x3FFFD}}};
constexpr std::array<Range, 5> kCombining = {
    {{0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x20D0, 0x20FF}, {0x200B, 0x200F}, {0xFE00, 0xFE0F}}};

template <std::size_t N>
bool within(char32_t code, const std::array<Range, N>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [code](const Range& range) { return code >= range.first && code <= range.last; });
}

/// Takes one character off; a broken byte counts as a character of its own.
char32_t next_character(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 || lead >= 0xF8 ? 1
                             : lead >= 0xF0              ? 4
                             : lead >= 0xE0              ? 3
                             : lead >= 0xC0              ? 2
                                                         : 1;
  if (length > text.size()) {
    text = {};
    return 0xFFFD;
  }
  char32_t code = length == 1 ? lead : lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) code = (code << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  text.remove_prefix(length);
  return code;
}

std::string_view escape_of(Colour colour) {
  switch (colour) {
    case Colour::none:
      return "";
    case Colour::green:
      return "\x1b[32m";
    case Colour::red:
      return "\x1b[31m";
    case Colour::yellow:
      return "\x1b[33m";
    case Colour::grey:
      return "\x1b[90m";
    case Colour::bold:
      return "\x1b[1m";
  }
  return "";
}

}  // namespace

std::string coloured(std::string_view text, Colour colour, bool enabled) {
  if (!enabled || colour == Colour::none) return std::string(text);
  return fmt::format("{}{}\x1b[0m", escape_of(colour), text);
}

std::size_t display_width(std::string_view utf8) {
  std::size_t width = 0;
  while (!utf8.empty()) {
    const auto code = next_character(utf8);
    if (!within(code, kCombining)) width += within(code, kWide) ? 2 : 1;
  }
  return width;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // C1 control characters are C2 80 to C2 9F in UTF-8.
    const bool c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (c1) ++i;
    out.push_back(byte < 0x20 || byte == 0x7F || c1 ? '?' : text[i]);
  }
  return out;
}

void Table::add(std::vector<Cell> row) {
  if (row.size() != columns_.size()) throw std::logic_error("a table's row has the wrong number of cells");
  for (auto& cell : row) cell.text = printable(cell.text);
  rows_.push_back(std::move(row));
}

std::string Table::text(bool colours) const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    std::size_t width = display_width(columns_[column].title);
    for (const auto& row : rows_) width = std::max(width, display_width(row[column].text));
    widths.push_back(width);
  }
  std::string out;
  const auto append_row = [&](auto&& cell_of) {
    std::string line;
    std::size_t pending = 0;  // spaces that are only written if something follows
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      const Cell cell = cell_of(column);
      const auto gap = widths[column] - display_width(cell.text);
      const bool right = columns_[column].align == Align::right;
      if (right) pending += gap;
      if (!cell.text.empty()) {
        line.append(pending, ' ');
        pending = 0;
        line += coloured(cell.text, cell.colour, colours);
      }
      pending += 2 + (right ? 0 : gap);
    }
    out += line + "\n";
  };
  append_row([&](std::size_t column) { return Cell(columns_[column].title, Colour::bold); });
  for (const auto& row : rows_) append_row([&](std::size_t column) { return row[column]; });
  return out;
}

}  // namespace berth::app
