#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "store/value.h"

namespace soci {
class session;    // NOLINT(readability-identifier-naming): not our name
class statement;  // NOLINT(readability-identifier-naming)
}  // namespace soci

namespace berth::store {

/// One prepared statement of one connection. Use: run, then rows or changed, then finish. Throws
/// what SOCI throws, and std::logic_error when the parameters are not those of the text.
///
/// SOCI prepares, binds and executes. The columns are read from the engine's own handle, which
/// SOCI's backend offers: SOCI's dynamic rows take their types from the declared columns, so that
/// on SQLite an expression such as count(*) arrives as text, an INTEGER is cut to 32 bits, and a
/// column whose first value is NULL changes its type.
class Statement {
 public:
  virtual ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void run(const Parameters& parameters);
  /// All rows of the answer.
  virtual Rows rows() = 0;
  /// How many rows the statement changed.
  virtual std::int64_t changed() = 0;
  /// Gives up the cursor, its locks and the bound values.
  void finish() noexcept;

 protected:
  Statement(soci::session& session, const std::string& sql);
  soci::statement& statement() { return *statement_; }
  /// Whether the last run, or `advance` of a descendant, stands on a row.
  bool on_row() const { return on_row_; }
  /// The names that the text asks for, as the engine understood it. Set by the descendant's
  /// constructor.
  void expect(std::vector<std::string> names);
  virtual void before_run() {}
  virtual void reset() noexcept = 0;

 private:
  struct Bound;

  void check_names(const Parameters& parameters) const;
  void bind(const Parameters& parameters);

  std::string sql_;
  std::unique_ptr<soci::statement> statement_;
  std::vector<std::string> expected_;
  std::vector<Bound> bound_;
  bool on_row_ = false;
};

/// Whether every value can be kept alike by both engines; else what to answer.
std::optional<Error> check_storable(const Parameters& parameters);

}  // namespace berth::store
