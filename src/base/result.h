#pragma once

#include <expected>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace berth {

/// The outcome of something that can fail in an expected way: a value or an Error. Ignoring one is a
/// compiler warning, and so an error. Exceptions are for bugs and exhaustion only.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using Base = std::expected<T, Error>;
  using Base::Base;
  Result(Error error) : Base(std::unexpected(std::move(error))) {}
  Result(std::unexpected<Error> error) : Base(std::move(error)) {}
};

template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
 public:
  using Base = std::expected<void, Error>;
  using Base::Base;
  Result() = default;
  Result(Error error) : Base(std::unexpected(std::move(error))) {}
  Result(std::unexpected<Error> error) : Base(std::move(error)) {}
};

/// Takes the error out of a failed result, to return it as the failure of another type.
template <class T>
Error take_error(Result<T>& result) {
  return std::move(result).error();
}

template <class T>
struct IsResult : std::false_type {};
template <class T>
struct IsResult<Result<T>> : std::true_type {};

}  // namespace berth

/// Evaluates a Result expression: yields its value, or returns its error from the enclosing function.
/// A GNU statement expression; g++ 12 crashes on it inside coroutines, so there check by hand.
#define BERTH_TRY(...)                                                                 \
  __extension__({                                                                      \
    auto berth_try_result = (__VA_ARGS__);                                             \
    if (!berth_try_result) return ::berth::Error(std::move(berth_try_result).error()); \
    std::move(*berth_try_result);                                                      \
  })

/// The same for a Result<void>.
#define BERTH_CHECK(...)                                                                   \
  do {                                                                                     \
    auto berth_check_result = (__VA_ARGS__);                                               \
    if (!berth_check_result) return ::berth::Error(std::move(berth_check_result).error()); \
  } while (false)
