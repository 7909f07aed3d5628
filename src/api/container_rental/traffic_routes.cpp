#include "api/container_rental/traffic_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "api/container_rental/container_rental.h"
#include "api/container_rental/traffic_wire.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using identity::permissions::kTrafficRead;
using telemetry::Traffic;
using telemetry::TrafficHistory;

constexpr std::chrono::hours kRangeByDefault{1};
/// Containers whose histories are added up for one that does not see all.
constexpr std::size_t kMostAddedUp = 100;

std::int64_t whole(double bytes) {
  return std::llround(bytes);
}

InAndOut rate_of(const Traffic& traffic) {
  return {whole(traffic.in_rate), whole(traffic.out_rate)};
}
InAndOut total_of(const Traffic& traffic) {
  return {static_cast<std::int64_t>(traffic.in_bytes), static_cast<std::int64_t>(traffic.out_bytes)};
}
std::optional<std::string> moment_of(const Traffic& traffic) {
  if (!traffic.measured_at) return std::nullopt;
  return format_utc(*traffic.measured_at);
}

/// The container if the caller may see it. One that it may not see is told of as one that is not there.
Result<fleet::ContainerPointer> visible(const TrafficRouteParts& parts, const Call& call, std::int64_t id) {
  auto found = parts.containers.find(fleet::ContainerId(id));
  if (found) found = parts.containers.find(caller_of(call), (*found)->name);
  if (found || found.error().code() != ErrorCode::not_found) return found;
  return Error(ErrorCode::not_found, "container.not_found",
               {fmt::format("容器 {} 不存在", id), fmt::format("Container {} not found", id)});
}

Traffic visible_total(const TrafficRouteParts& parts, const Call& call) {
  const auto caller = caller_of(call);
  if (caller.sees_all) return parts.traffic.total();
  Traffic sum;
  for (const auto& container : parts.containers.list(caller, {}).containers) {
    const Traffic traffic = parts.traffic.now(container->id.value());
    sum.in_rate += traffic.in_rate;
    sum.out_rate += traffic.out_rate;
    sum.in_bytes += traffic.in_bytes;
    sum.out_bytes += traffic.out_bytes;
    if (traffic.measured_at) sum.measured_at = std::max(sum.measured_at.value_or(Timestamp()), *traffic.measured_at);
  }
  return sum;
}

struct Range {
  Timestamp from;
  Timestamp until;
  std::chrono::seconds step;
};

Result<Timestamp> moment(const std::optional<std::string>& text, Timestamp otherwise) {
  return text ? parse_timestamp(*text) : Result<Timestamp>(otherwise);
}

Result<Range> range_of(const TrafficHistoryQuery& query, Timestamp now) {
  Range range;
  range.until = BERTH_TRY(moment(query.until, now));
  range.from = BERTH_TRY(moment(query.from, range.until - kRangeByDefault));
  range.step = std::chrono::seconds(query.step);
  return range;
}

void add_up(TrafficHistory& sum, const TrafficHistory& one) {
  if (sum.points.empty()) {
    sum = one;
    return;
  }
  for (std::size_t i = 0; i < std::min(sum.points.size(), one.points.size()); ++i) {
    sum.points[i].in_bytes += one.points[i].in_bytes;
    sum.points[i].out_bytes += one.points[i].out_bytes;
    sum.points[i].in_peak += one.points[i].in_peak;
    sum.points[i].out_peak += one.points[i].out_peak;
  }
}

Result<TrafficHistory> visible_history(const TrafficRouteParts& parts, const Call& call, const Range& range) {
  const auto caller = caller_of(call);
  const auto ask = [&](std::optional<std::int64_t> container) {
    return parts.traffic.history(container, range.from, range.until, range.step);
  };
  if (caller.sees_all) return ask(std::nullopt);
  const auto containers = parts.containers.list(caller, {}).containers;
  if (containers.size() > kMostAddedUp) {
    const Text message{"容器过多，请指定 container_id", "There are too many containers; name one"};
    return Error(ErrorCode::invalid_argument, "traffic.container", message).with_field("container_id", message);
  }
  // One that has no traffic gives the points.
  TrafficHistory sum = BERTH_TRY(ask(0));
  for (const auto& container : containers) add_up(sum, BERTH_TRY(ask(container->id.value())));
  return sum;
}

TrafficHistoryInfo info_of(const TrafficHistory& history, std::optional<std::int64_t> container) {
  TrafficHistoryInfo info{container, history.step.count(), {}};
  info.traffic.reserve(history.points.size());
  for (const auto& point : history.points) {
    info.traffic.push_back({format_utc(point.at), whole(point.in_bytes), whole(point.out_bytes), whole(point.in_peak),
                            whole(point.out_peak)});
  }
  return info;
}

}  // namespace

void add_traffic_routes(Contract& contract, const TrafficRouteParts& parts) {
  contract.add<ContainerIdPath, Nothing, Nothing>(
      {Method::get,
       "/api/ha/container_traffic/{container_id}",
       kTrafficRead,
       {"容器的实时流量（字节/秒）及累计", "Traffic of a container now, in bytes per second, and in all"},
       "traffic"},
      [parts](const Call& call, ContainerIdPath path, Nothing, Nothing) -> Result<ContainerTraffic> {
        const auto container = BERTH_TRY(visible(parts, call, path.container_id));
        const Traffic traffic = parts.traffic.now(container->id.value());
        return ContainerTraffic{container->id.value(), rate_of(traffic), total_of(traffic), moment_of(traffic)};
      });
  contract.add<Nothing, Nothing, Nothing>(
      {Method::get,
       "/api/traffic/realtime",
       kTrafficRead,
       {"实时流量（字节/秒）及累计", "Traffic now, in bytes per second, and in all"},
       "traffic"},
      [parts](const Call& call, Nothing, Nothing, Nothing) -> Result<RealtimeTraffic> {
        const Traffic traffic = visible_total(parts, call);
        return RealtimeTraffic{rate_of(traffic), total_of(traffic), moment_of(traffic)};
      });
  contract.add<Nothing, TrafficHistoryQuery, Nothing>(
      {Method::get, "/api/traffic/history", kTrafficRead, {"流量历史", "Traffic over time"}, "traffic", &parts.reads},
      [parts](const Call& call, Nothing, TrafficHistoryQuery query, Nothing) -> Result<TrafficHistoryInfo> {
        const Range range = BERTH_TRY(range_of(query, parts.clock.now()));
        if (!query.container_id) return info_of(BERTH_TRY(visible_history(parts, call, range)), std::nullopt);
        const auto container = BERTH_TRY(visible(parts, call, *query.container_id));
        return info_of(BERTH_TRY(parts.traffic.history(container->id.value(), range.from, range.until, range.step)),
                       container->id.value());
      });
}

void ContainerRental::add_traffic_routes() {
  container_rental::add_traffic_routes(*contract_, {parts_.containers, parts_.traffic, parts_.clock, parts_.reads});
}

}  // namespace berth::api::container_rental
