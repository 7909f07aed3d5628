// Request bodies: decoding into a described struct with rules, and the read-only view.
#include <boost/describe/class.hpp>
#include <cstdlib>
#include <map>
#include <optional>

#include "base/encoding.h"
#include "json/document.h"
#include "json/read.h"
#include "json/write.h"

namespace {

struct Inner {
  std::optional<std::optional<std::uint64_t>> limit;
  std::vector<std::int16_t> ports;
};
BOOST_DESCRIBE_STRUCT(Inner, (), (limit, ports))

struct Outer {
  std::string name;
  double ratio = 0;
  bool flag = false;
  std::map<std::string, Inner> inner;
};
BOOST_DESCRIBE_STRUCT(Outer, (), (name, ratio, flag, inner))
void describe_fields(berth::json::Fields<Outer>& fields) {
  fields("name").length(1, 8);
  fields("ratio").has_default().range(0, 1);
  fields("flag").has_default();
  fields("inner").has_default().items(0, 4);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto outer = berth::json::from_json<Outer>(text)) {
    // What was decoded must be written so that it decodes again.
    if (!berth::json::from_json<Outer>(berth::json::to_json(*outer))) std::abort();
  }
  if (const auto document = berth::json::Document::parse(text)) {
    if (!berth::is_utf8(document->root().text())) std::abort();
  }
  return 0;
}
