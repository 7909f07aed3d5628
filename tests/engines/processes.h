#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace berth::testing {

/// Starts a program in a session of its own, with standard output and error appended to a file. `input` is its standard
/// input, -1 for none; `environment` "NAME=VALUE" in place of what the tests have themselves, unless it is empty.
pid_t spawn_process(const std::vector<std::string>& arguments, int input, const std::string& output,
                    const std::vector<std::string>& environment);
/// Stops a process in its tracks; none of its threads runs any more when this returns.
void stop_process(pid_t pid);
bool is_alive(pid_t pid);
pid_t parent_of(pid_t pid);
/// A port of 127.0.0.1 that was free just now.
std::uint16_t free_port();

}  // namespace berth::testing
