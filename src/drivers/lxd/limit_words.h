#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::drivers::lxd {

/// LXD's sizes: "128MiB", "1GB", "1024", "512B". Nothing if the text is none.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// A size as LXD reads it, in the largest binary unit that loses nothing: "128MiB", "1000B".
std::string write_size(std::uint64_t bytes);
/// The share of "50%", 0.5; nothing if the text is no percentage.
std::optional<double> parse_percent(std::string_view text);

/// What `limits.cpu` and `limits.cpu.allowance` allow together, in cores: a count ("2"), a set ("0-3,7"), a
/// quota ("150ms/100ms"); nothing where neither limits anything.
std::optional<double> parse_cpus(std::string_view cpu, std::string_view allowance);

/// The two configuration values that allow `cpus` cores; a whole number needs no allowance.
struct CpuWords {
  std::string cpu;
  std::string allowance;
};
CpuWords write_cpus(double cpus);

}  // namespace berth::drivers::lxd
