#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace berth::app {

enum class Colour { none, green, red, yellow, grey, bold };

/// The text in a terminal's colour, or as it is where `enabled` is false.
std::string coloured(std::string_view text, Colour colour, bool enabled);

/// How many columns a terminal gives the text: wide characters (Chinese) take two, combining marks none.
std::size_t display_width(std::string_view utf8);

/// The text with control characters replaced, so that a value from outside cannot drive the terminal.
std::string printable(std::string_view text);

/// Columns of text, aligned with spaces.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  struct Cell {
    Cell(std::string text, Colour colour = Colour::none) : text(std::move(text)), colour(colour) {}
    Cell(const char* text) : text(text) {}
    std::string text;
    Colour colour = Colour::none;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  /// As many cells as there are columns.
  void add(std::vector<Cell> row);
  std::size_t size() const { return rows_.size(); }
  /// The table with its titles; each line ends with a line end and without spaces before it.
  std::string text(bool colours) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace berth::app
