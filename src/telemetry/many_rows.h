#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/database.h"

namespace berth::telemetry {

/// Writes many rows of one table with few statements: most as one of kAtOnce rows, the rest one by one, so that only
/// two texts are ever prepared.
class ManyRows {
 public:
  static constexpr std::size_t kAtOnce = 50;
  using Values = std::vector<std::vector<store::Value>>;

  /// `head` ends with "VALUES ", `tail` is what follows the rows; `columns` name the parameters.
  ManyRows(std::string_view head, std::vector<std::string> columns, std::string_view tail);

  Result<void> execute(store::Transaction& transaction, const Values& rows) const;

 private:
  std::string statement(std::string_view head, std::string_view tail, std::size_t rows) const;
  std::string name(std::size_t row, std::size_t column) const;
  store::Parameters parameters(const Values& rows, std::size_t first, std::size_t count) const;

  std::vector<std::string> columns_;
  std::string one_;
  std::string many_;
};

}  // namespace berth::telemetry
