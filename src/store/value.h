#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/id.h"

namespace berth::store {

/// What a column or a parameter holds. Booleans are 0 and 1, times are microseconds since the epoch, bytes
/// are text in base64, so that SQLite and PostgreSQL keep the same.
using Scalar = std::variant<std::monostate, std::int64_t, double, std::string>;

/// A value to bind: made implicitly from what the domain uses.
class Value {
 public:
  Value(std::nullptr_t) {}
  Value(bool value) : scalar_(std::int64_t{value ? 1 : 0}) {}
  Value(int value) : scalar_(std::int64_t{value}) {}
  Value(std::int64_t value) : scalar_(value) {}
  Value(std::uint64_t value) : scalar_(static_cast<std::int64_t>(value)) {}
  Value(double value) : scalar_(value) {}
  Value(std::string value) : scalar_(std::move(value)) {}
  Value(std::string_view value) : scalar_(std::string(value)) {}
  Value(const char* value) : scalar_(std::string(value)) {}
  Value(Timestamp value) : scalar_(std::int64_t{value.time_since_epoch().count()}) {}
  template <class Tag, class T>
  Value(const Id<Tag, T>& id) : Value(id.value()) {}
  template <class T>
  Value(const std::optional<T>& value) {
    if (value) *this = Value(*value);
  }

  const Scalar& scalar() const { return scalar_; }

 private:
  Scalar scalar_;
};

/// Named parameters of a statement: {{"name", name}, {"at", now}} for ":name" and ":at".
using Parameters = std::vector<std::pair<std::string, Value>>;

/// One row of an answer. Columns are read by the names of the statement. A read of the wrong kind converts
/// where nothing is lost (an integer from its text), else it is a bug and throws std::logic_error.
class Row {
 public:
  Row(std::vector<std::string> const* names, std::vector<Scalar> values) : names_(names), values_(std::move(values)) {}

  std::int64_t integer(std::string_view column) const;
  double real(std::string_view column) const;
  std::string text(std::string_view column) const;
  bool flag(std::string_view column) const { return integer(column) != 0; }
  Timestamp time(std::string_view column) const { return Timestamp(std::chrono::microseconds(integer(column))); }
  bool is_null(std::string_view column) const;
  std::optional<std::int64_t> optional_integer(std::string_view column) const;
  std::optional<std::string> optional_text(std::string_view column) const;
  std::optional<Timestamp> optional_time(std::string_view column) const;

 private:
  const Scalar& at(std::string_view column) const;

  const std::vector<std::string>* names_;
  std::vector<Scalar> values_;
};

/// The rows of one answer; owns the column names that its rows refer to, so rows must not outlive it.
class Rows {
 public:
  Rows() = default;
  Rows(std::unique_ptr<std::vector<std::string>> names, std::vector<Row> rows)
      : names_(std::move(names)), rows_(std::move(rows)) {}
  auto begin() const { return rows_.begin(); }
  auto end() const { return rows_.end(); }
  std::size_t size() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  const Row& front() const { return rows_.front(); }

 private:
  std::unique_ptr<std::vector<std::string>> names_;
  std::vector<Row> rows_;
};

}  // namespace berth::store
