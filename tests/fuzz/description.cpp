// The access description that anyone with access to an instance may write.
#include "compute/description.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto access = berth::compute::parse_description(text);
  const std::string masked = berth::compute::mask_password(text);
  // What is masked must not be read out again.
  const auto again = berth::compute::parse_description(masked);
  if (access.root_password && again.root_password && *again.root_password != "***") std::abort();
  return 0;
}
