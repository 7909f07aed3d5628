#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace berth {

/// What kind of failure it is. Each contract maps a code to its own status and envelope, in one table.
enum class ErrorCode {
  invalid_argument,    ///< a value is missing, of the wrong type or out of range; see Error::fields
  unauthenticated,     ///< no valid credentials
  permission_denied,   ///< known caller, missing right
  not_found,           ///< does not exist, or the caller may not know that it does
  already_exists,      ///< a name, address or port is taken
  conflict,            ///< does not fit the present state
  too_large,           ///< a body, header or value over its limit
  unsupported_media,   ///< wrong content type
  method_not_allowed,  ///< the path exists under other methods
  malformed,           ///< not parseable at all (JSON, HTTP)
  rate_limited,        ///< too many; see Error::retry_after
  cancelled,           ///< ended by a person's wish
  deadline_exceeded,   ///< not finished in time; the outcome may be unknown
  unavailable,         ///< an engine or the store does not answer now
  unsupported,         ///< this engine cannot do it
  exhausted,           ///< no room: disk, memory, quota, queue
  internal,            ///< a bug or an unclassified fault
};

/// Stable lower-case name of a code, for logs, metrics and machine-readable answers.
std::string_view name(ErrorCode code);

/// One field that was refused. `field` is the wire name, dotted for nesting ("limits.cpu").
struct FieldError {
  std::string field;
  Text message;
};

/// A failure that was expected: what a caller may be told (`message`) apart from what only the log may
/// hold (`detail`). A value type; cheap to move.
class Error {
 public:
  /// `reason` is a stable dotted identifier ("instance.not_found") by which a contract may choose its own
  /// words. It must be a string literal.
  Error(ErrorCode code, std::string_view reason, Text message)
      : code_(code), reason_(reason), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  std::string_view reason() const { return reason_; }
  const Text& message() const { return message_; }
  /// For the log only: native error text, codes, paths. Empty if there is nothing to add.
  const std::string& detail() const { return detail_; }
  const std::vector<FieldError>& fields() const { return fields_; }
  std::optional<std::chrono::seconds> retry_after() const { return retry_after_; }

  Error with_detail(std::string detail) &&;
  Error with_field(std::string field, Text message) &&;
  Error with_fields(std::vector<FieldError> fields) &&;
  Error with_retry_after(std::chrono::seconds wait) &&;

  /// "code reason: message [detail]" for logs.
  std::string describe() const;

 private:
  ErrorCode code_;
  std::string_view reason_;
  Text message_;
  std::string detail_;
  std::vector<FieldError> fields_;
  std::optional<std::chrono::seconds> retry_after_;
};

/// An unclassified fault. The caller is told no more than that; `detail` goes to the log.
Error internal_error(std::string detail);

}  // namespace berth
