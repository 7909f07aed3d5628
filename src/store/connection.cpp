#include "store/connection.h"

#include <soci/soci.h>

#include "store/failure.h"

namespace berth::store {

namespace {

// Enough for every statement of the program and the combinations of its filters; bounds what a
// connection keeps if some statement is ever built from many parts.
constexpr std::size_t kMaxStatements = 256;

// Gives up cursor, locks and bindings however the run ends.
class Finish {
 public:
  explicit Finish(Statement& statement) : statement_(statement) {}
  Finish(const Finish&) = delete;
  Finish& operator=(const Finish&) = delete;
  ~Finish() { statement_.finish(); }

 private:
  Statement& statement_;
};

}  // namespace

Connection::Connection(std::unique_ptr<soci::session> session) : session_(std::move(session)) {}

Connection::~Connection() = default;

void Connection::forget_statements() {
  index_.clear();
  statements_.clear();
}

Statement& Connection::statement(std::string_view sql) {
  if (const auto found = index_.find(sql); found != index_.end()) {
    statements_.splice(statements_.begin(), statements_, found->second);
    return *statements_.front().second;
  }
  std::string text(sql);
  auto prepared = prepare(text);
  if (statements_.size() >= kMaxStatements) {
    index_.erase(statements_.back().first);
    statements_.pop_back();
  }
  statements_.emplace_front(std::move(text), std::move(prepared));
  index_.emplace(statements_.front().first, statements_.begin());
  return *statements_.front().second;
}

Result<std::int64_t> Connection::execute(std::string_view sql, const Parameters& parameters) {
  if (auto refused = check_storable(parameters)) return *std::move(refused);
  const Call call(*this);
  try {
    Statement& prepared = statement(sql);
    const Finish finish(prepared);
    prepared.run(parameters);
    return prepared.changed();
  } catch (...) {
    return translate_current();
  }
}

Result<Rows> Connection::query(std::string_view sql, const Parameters& parameters) {
  if (auto refused = check_storable(parameters)) return *std::move(refused);
  const Call call(*this);
  try {
    Statement& prepared = statement(sql);
    const Finish finish(prepared);
    prepared.run(parameters);
    return prepared.rows();
  } catch (...) {
    return translate_current();
  }
}

}  // namespace berth::store
