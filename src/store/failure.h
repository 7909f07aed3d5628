#pragma once

#include <chrono>
#include <string>

#include "base/error.h"

namespace berth::store {

/// The errors that the store itself makes, worded once for both engines. `detail` is for the log.

/// Why the store cannot serve now. Every one of them is unavailable "store.unavailable".
enum class Obstacle {
  busy,         ///< others hold it for too long
  full,         ///< no room on the disk
  read_only,    ///< the file or server takes no changes
  damaged,      ///< the file is not a database, or is corrupt
  unreadable,   ///< reading, writing or opening failed
  unreachable,  ///< the server does not answer or the connection was lost
};
Error unavailable(Obstacle obstacle, std::string detail);

/// Two transactions collided and this one was chosen to give way: running it again helps. Only
/// between the connection and who runs the transaction; callers of the store get
/// "store.unavailable" when it keeps failing.
Error collided(std::string detail);
bool is_collision(const Error& error);

Error not_unique(std::string detail);
Error constraint_violated(std::string detail);
/// A text that one of the engines could not keep as it is: not UTF-8, with a NUL; or a number that
/// is none.
Error unstorable(std::string detail);

}  // namespace berth::store
