// The configuration file: any text is either taken or every problem in it is named.
#include "app/configuration.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto loaded = berth::app::parse_configuration(text, "berth.toml", {});
  if (!loaded && loaded.error().fields().empty() && loaded.error().message().en.empty()) std::abort();
  return 0;
}
