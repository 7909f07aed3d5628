#include "store/statement.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <soci/soci.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/encoding.h"
#include "store/failure.h"

namespace berth::store {

// A value where SOCI's use element can point to it until the statement is finished.
struct Statement::Bound {
  soci::indicator indicator = soci::i_ok;
  long long integer = 0;
  double real = 0;
};

Statement::Statement(soci::session& session, const std::string& sql)
    : sql_(sql), statement_(std::make_unique<soci::statement>(session)) {
  statement_->alloc();
  statement_->prepare(sql);
}

Statement::~Statement() = default;

void Statement::expect(std::vector<std::string> names) {
  std::ranges::sort(names);
  const auto repeated = std::ranges::unique(names);
  names.erase(repeated.begin(), repeated.end());
  expected_ = std::move(names);
}

void Statement::check_names(const Parameters& parameters) const {
  // The backends keep pointers to what was bound the last time, so a name left out must never get
  // through.
  std::vector<std::string_view> given;
  given.reserve(parameters.size());
  for (const auto& [name, value] : parameters) given.emplace_back(name);
  std::ranges::sort(given);
  if (std::ranges::equal(given, expected_)) return;
  throw std::logic_error(fmt::format("a statement takes the parameters [{}] and was given [{}]: {}",
                                     fmt::join(expected_, ", "), fmt::join(given, ", "), sql_));
}

void Statement::bind(const Parameters& parameters) {
  static const std::string nothing;
  bound_.clear();
  bound_.reserve(parameters.size());
  for (const auto& [name, value] : parameters) {
    Bound& bound = bound_.emplace_back();
    const Scalar& scalar = value.scalar();
    if (const auto* integer = std::get_if<std::int64_t>(&scalar)) {
      bound.integer = *integer;
      statement_->exchange(soci::use(bound.integer, bound.indicator, name));
    } else if (const auto* real = std::get_if<double>(&scalar)) {
      bound.real = *real;
      statement_->exchange(soci::use(bound.real, bound.indicator, name));
    } else if (const auto* text = std::get_if<std::string>(&scalar)) {
      statement_->exchange(soci::use(*text, bound.indicator, name));
    } else {
      bound.indicator = soci::i_null;
      statement_->exchange(soci::use(nothing, bound.indicator, name));
    }
  }
}

void Statement::run(const Parameters& parameters) {
  check_names(parameters);
  bind(parameters);
  statement_->define_and_bind();
  before_run();
  on_row_ = statement_->execute(true);
}

void Statement::finish() noexcept {
  on_row_ = false;
  reset();
  statement_->bind_clean_up();
  bound_.clear();
}

std::optional<Error> check_storable(const Parameters& parameters) {
  for (const auto& [name, value] : parameters) {
    if (const auto* text = std::get_if<std::string>(&value.scalar())) {
      if (text->find('\0') != std::string::npos) return unstorable(fmt::format(":{} contains NUL", name));
      if (!is_utf8(*text)) return unstorable(fmt::format(":{} is not UTF-8", name));
    } else if (const auto* real = std::get_if<double>(&value.scalar())) {
      if (!std::isfinite(*real)) return unstorable(fmt::format(":{} is not finite", name));
    }
  }
  return std::nullopt;
}

}  // namespace berth::store
