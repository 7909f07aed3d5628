#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::telemetry {

/// Processor time since boot, over all cores, in clock ticks.
struct CpuReading {
  std::uint32_t cores = 0;  ///< that are online
  std::uint64_t busy = 0;
  std::uint64_t total = 0;
};

struct MemoryReading {
  std::uint64_t total_bytes = 0;
  std::uint64_t available_bytes = 0;  ///< what can be had without swapping
};

struct InterfaceReading {
  std::string name;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
};

// Each reads the text of one file under /proc; nothing if the text is not of that form. Pure.

/// /proc/stat. Waiting for input and output counts as idle.
std::optional<CpuReading> parse_cpu(std::string_view text);
/// /proc/meminfo. Kernels without MemAvailable: free, buffers and page cache together.
std::optional<MemoryReading> parse_memory(std::string_view text);
/// /proc/net/dev. Lines that do not parse are left out.
std::optional<std::vector<InterfaceReading>> parse_interfaces(std::string_view text);

/// The share of busy time between two readings, 0 to 100; 0 if no time passed or the counters went back.
double busy_percent(const CpuReading& before, const CpuReading& after);
/// Growth per second of a counter; 0 if it went back (an interface was removed or its counter wrapped).
double growth_rate(std::uint64_t before, std::uint64_t after, double seconds);
/// Rounded to one decimal, as the contracts show percentages.
double one_decimal(double value);

}  // namespace berth::telemetry
