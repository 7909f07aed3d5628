// Access tokens from anyone. Nothing that was not signed here may pass.
#include "identity/token.h"

#include <cstdlib>

namespace {

const berth::identity::TokenCodec& codec() {
  static const berth::identity::TokenCodec made(berth::Secret(std::string(32, 'k')), "berth");
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (codec().parse(text, berth::Timestamp{})) std::abort();
  return 0;
}
