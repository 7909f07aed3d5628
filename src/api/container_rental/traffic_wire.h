#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What container-rental.md puts on the wire for traffic, and what Berth adds in its style.
namespace berth::api::container_rental {

/// Both directions as a container sees them: `in` is what it received.
struct InAndOut {
  std::int64_t in = 0;
  std::int64_t out = 0;
};
BOOST_DESCRIBE_STRUCT(InAndOut, (), (in, out))

/// Traffic of everything that the caller may see: bytes per second now, and all bytes that ever came.
struct RealtimeTraffic {
  InAndOut traffic;
  InAndOut total;
  std::optional<std::string> measured_at;
};
BOOST_DESCRIBE_STRUCT(RealtimeTraffic, (), (traffic, total, measured_at))

/// The same of one container.
struct ContainerTraffic {
  std::int64_t container_id = 0;
  InAndOut traffic;
  InAndOut total;
  std::optional<std::string> measured_at;
};
BOOST_DESCRIBE_STRUCT(ContainerTraffic, (), (container_id, traffic, total, measured_at))

struct ContainerIdPath {
  std::int64_t container_id = 0;
};
BOOST_DESCRIBE_STRUCT(ContainerIdPath, (), (container_id))
inline void describe_fields(json::Fields<ContainerIdPath>& fields) {
  fields("container_id").range(1, 9007199254740991LL);
}

struct TrafficHistoryQuery {
  std::optional<std::int64_t> container_id;
  std::optional<std::string> from;
  std::optional<std::string> until;
  std::int64_t step = 0;
};
BOOST_DESCRIBE_STRUCT(TrafficHistoryQuery, (), (container_id, from, until, step))
inline void describe_fields(json::Fields<TrafficHistoryQuery>& fields) {
  fields("container_id").range(1, 9007199254740991LL).doc({"缺省为全部可见容器", "Left out: all that one may see"});
  fields("from").pattern_name("date-time").doc({"缺省为 until 前一小时", "Left out: an hour before until"});
  fields("until").pattern_name("date-time").doc({"缺省为现在", "Left out: now"});
  fields("step").has_default().range(0, 86400).doc(
      {"每点的秒数，0 为自动；过去越久越粗", "Seconds per point, 0 for what fits; coarser the longer ago"});
}

/// Bytes in `step` seconds, and the highest rates in bytes per second.
struct TrafficPointInfo {
  std::string timestamp;
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t in_peak = 0;
  std::int64_t out_peak = 0;
};
BOOST_DESCRIBE_STRUCT(TrafficPointInfo, (), (timestamp, in, out, in_peak, out_peak))

struct TrafficHistoryInfo {
  std::optional<std::int64_t> container_id;
  std::int64_t step = 0;
  std::vector<TrafficPointInfo> traffic;
};
BOOST_DESCRIBE_STRUCT(TrafficHistoryInfo, (), (container_id, step, traffic))

}  // namespace berth::api::container_rental
