#include "store/active_transaction.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace berth::store {

namespace {

thread_local const Database* current_database = nullptr;

}  // namespace

template <class T>
Result<T> ActiveTransaction::remember(Result<T> result) {
  if (!result && !failure_) failure_ = result.error();
  return result;
}

Result<std::int64_t> ActiveTransaction::execute(std::string_view sql, const Parameters& parameters) {
  if (failure_) return *failure_;
  return remember(connection_.execute(sql, parameters));
}

Result<Rows> ActiveTransaction::query(std::string_view sql, const Parameters& parameters) {
  if (failure_) return *failure_;
  return remember(connection_.query(sql, parameters));
}

Result<std::int64_t> ActiveTransaction::insert(std::string_view sql, const Parameters& parameters) {
  if (failure_) return *failure_;
  auto rows = remember(connection_.query(fmt::format("{} RETURNING id", sql), parameters));
  if (!rows) return take_error(rows);
  if (rows->size() != 1) {
    return remember(Result<std::int64_t>(internal_error("an INSERT for one id made none or several")));
  }
  return rows->front().integer("id");
}

Result<void> run_body(const std::function<Result<void>(Transaction&)>& body, ActiveTransaction& transaction) {
  Result<void> outcome = body(transaction);
  if (outcome && transaction.failure()) return *transaction.failure();
  return outcome;
}

NestingGuard::NestingGuard(const Database& database) : outer_(current_database) {
  refuse_nested(database);
  current_database = &database;
}

NestingGuard::~NestingGuard() {
  current_database = outer_;
}

void NestingGuard::refuse_nested(const Database& database) {
  if (current_database == &database) {
    throw std::logic_error("a transaction was started inside another one of the same store");
  }
}

}  // namespace berth::store
