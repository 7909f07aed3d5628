#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"

namespace berth::operations {

enum class State { running, succeeded, failed, cancelled };
std::string_view name(State state);
/// The state of a name; nothing if there is none.
std::optional<State> parse_state(std::string_view text);

/// Why an operation failed, as stored and shown.
struct Failure {
  ErrorCode code = ErrorCode::internal;
  std::string reason;
  Text message;
};

/// The code of a stable name (`berth::name(ErrorCode)`); internal if there is none.
ErrorCode parse_code(std::string_view text);
/// What an error leaves in the record; its detail, which is for the log alone, stays behind.
Failure to_failure(const Error& error);
/// A recorded failure as an error again, for whoever waited for the work.
Error to_error(const Failure& failure);

/// Long work on one resource: recorded before it starts, its outcome recorded with the audit entry.
struct Operation {
  OperationId id;
  std::string kind;  ///< "instance.create"; also the audit action
  EngineId engine;
  std::string resource_type;  ///< "instance"
  std::string resource_id;
  State state = State::running;
  int progress = 0;   ///< 0 to 100
  std::string stage;  ///< what is going on now, in the engine's or our words; may be empty
  bool may_cancel = false;
  bool cancel_requested = false;
  std::string input = "{}";     ///< JSON that a reconciler needs; no secrets
  std::string handle;           ///< the engine's own name for the work, to re-adopt it after a restart
  std::string result = "null";  ///< JSON
  std::optional<Failure> failure;
  audit::Origin origin;
  Timestamp created_at;
  Timestamp updated_at;
  Timestamp deadline_at;
  std::optional<Timestamp> finished_at;
};

}  // namespace berth::operations
