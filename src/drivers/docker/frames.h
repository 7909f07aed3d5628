#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace berth::drivers::docker {

/// Parts the bytes of a container's or a command's output into its streams. Without a terminal Docker puts 8 bytes
/// before each piece: the stream, three zeros and the length, big-endian; with one there is a single raw stream. Not
/// thread-safe.
class FrameReader {
 public:
  enum class Stream : std::uint8_t { standard_input = 0, standard_output = 1, standard_error = 2, system_error = 3 };

  explicit FrameReader(bool raw) : raw_(raw) {}

  /// Calls `take(Stream, std::string_view)` for what `bytes` bring, in order, as it comes; a frame may come in pieces.
  /// False at what is no frame; nothing more is taken then.
  template <class Take>
  bool feed(std::string_view bytes, Take take) {
    if (raw_) {
      if (!bytes.empty()) take(Stream::standard_output, bytes);
      return true;
    }
    while (!bytes.empty() && !broken_) {
      if (left_ == 0) {
        read_header(bytes);
        continue;
      }
      const std::string_view part = bytes.substr(0, left_);
      left_ -= static_cast<std::uint32_t>(part.size());
      bytes.remove_prefix(part.size());
      take(stream_, part);
    }
    return !broken_;
  }

 private:
  /// Takes bytes of a header away from `bytes`.
  void read_header(std::string_view& bytes);

  const bool raw_;
  bool broken_ = false;
  std::string header_;
  Stream stream_ = Stream::standard_output;
  std::uint32_t left_ = 0;
};

}  // namespace berth::drivers::docker
