#pragma once

#include <string>

#include "app/console.h"
#include "base/error.h"
#include "base/result.h"
#include "json/read.h"

// What commands do with the answers of the API.
namespace berth::app {

/// An answer that is not what it should be. `error` goes to the log.
Error senseless_answer(const Error& error);

template <class T>
Result<T> decode_answer(const std::string& body) {
  auto value = json::from_json<T>(body);
  if (!value) return senseless_answer(value.error());
  return std::move(*value);
}

/// Prints what the server said about a change: its message, or with the format "json" the whole answer.
Result<void> report_answer(Console& console, const std::string& format, const std::string& body);

}  // namespace berth::app
