#include "telemetry/many_rows.h"

#include <fmt/format.h>

#include <utility>

namespace berth::telemetry {

ManyRows::ManyRows(std::string_view head, std::vector<std::string> columns, std::string_view tail)
    : columns_(std::move(columns)), one_(statement(head, tail, 1)), many_(statement(head, tail, kAtOnce)) {}

std::string ManyRows::name(std::size_t row, std::size_t column) const {
  return fmt::format("{}_{}", columns_[column], row);
}

std::string ManyRows::statement(std::string_view head, std::string_view tail, std::size_t rows) const {
  std::string text(head);
  for (std::size_t row = 0; row < rows; ++row) {
    text += row == 0 ? "(" : ", (";
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      text += (column == 0 ? ":" : ", :") + name(row, column);
    }
    text += ")";
  }
  return text.append(tail);
}

store::Parameters ManyRows::parameters(const Values& rows, std::size_t first, std::size_t count) const {
  store::Parameters parameters;
  parameters.reserve(count * columns_.size());
  for (std::size_t row = 0; row < count; ++row) {
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      parameters.emplace_back(name(row, column), rows[first + row][column]);
    }
  }
  return parameters;
}

Result<void> ManyRows::execute(store::Transaction& transaction, const Values& rows) const {
  std::size_t done = 0;
  while (done < rows.size()) {
    const std::size_t count = rows.size() - done >= kAtOnce ? kAtOnce : 1;
    BERTH_CHECK(transaction.execute(count == 1 ? one_ : many_, parameters(rows, done, count)));
    done += count;
  }
  return {};
}

}  // namespace berth::telemetry
