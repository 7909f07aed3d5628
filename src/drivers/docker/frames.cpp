#include "drivers/docker/frames.h"

namespace berth::drivers::docker {
namespace {

constexpr std::size_t kHeader = 8;

}  // namespace

void FrameReader::read_header(std::string_view& bytes) {
  const std::string_view part = bytes.substr(0, kHeader - header_.size());
  header_ += part;
  bytes.remove_prefix(part.size());
  if (header_.size() < kHeader) return;
  const auto byte = [this](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(header_[i]));
  };
  broken_ = byte(0) > 3 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0;
  stream_ = static_cast<Stream>(byte(0));
  left_ = byte(4) << 24U | byte(5) << 16U | byte(6) << 8U | byte(7);
  header_.clear();
}

}  // namespace berth::drivers::docker
