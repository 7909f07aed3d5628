#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace berth {

/// A strong identifier: two kinds of id never mix, nothing converts implicitly.
/// `Tag` is any type, usually an incomplete struct named after what is identified.
template <class Tag, class Value = std::string>
class Id {
 public:
  Id() = default;
  explicit Id(Value value) : value_(std::move(value)) {}

  const Value& value() const { return value_; }
  auto operator<=>(const Id&) const = default;

 private:
  Value value_{};
};

/// Identifies a user in every contract that speaks in integers; 0 is nobody.
using UserId = Id<struct UserTag, std::int64_t>;
/// Identifies a configured engine ("lxd", "docker-2"): the key of its configuration section.
using EngineId = Id<struct EngineTag>;
/// Identifies an operation: a UUID.
using OperationId = Id<struct OperationTag>;
/// Identifies a request through log, audit and answer header.
using RequestId = Id<struct RequestTag>;

}  // namespace berth

template <class Tag, class Value>
struct std::hash<berth::Id<Tag, Value>> {
  std::size_t operator()(const berth::Id<Tag, Value>& id) const { return std::hash<Value>{}(id.value()); }
};
