#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What container-rental.md puts on the wire for high availability, and what Berth adds in its style.
namespace berth::api::container_rental {

struct FailoverRequest {
  std::optional<std::int64_t> server_id;
  std::optional<std::string> server;
  bool confirmed = false;
};
BOOST_DESCRIBE_STRUCT(FailoverRequest, (), (server_id, server, confirmed))
inline void describe_fields(json::Fields<FailoverRequest>& fields) {
  fields("server_id")
      .range(1, 1LL << 53U)
      .doc({"缺省为所有不可访问且可隔离的服务器",
            "Left out, with the name too: every server that is down and has a fence"});
  fields("server").length(1, 63);
  fields("confirmed").has_default().doc({"确认该机器已关机", "Somebody has seen that the machine is off"});
}

struct DrainQuery {
  bool move = false;
  std::uint32_t wait = 60;
};
BOOST_DESCRIBE_STRUCT(DrainQuery, (), (move, wait))
inline void describe_fields(json::Fields<DrainQuery>& fields) {
  fields("move").has_default().doc({"同时迁走可迁移的容器", "Moves away what can be moved, too"});
  fields("wait").has_default().range(0, 600).doc({"等待迁移完成的秒数；超过则返回 202 和操作编号",
                                                  "Seconds to wait for the moves; beyond them 202 with the operation"});
}

struct BalanceRequest {
  bool dry_run = false;
};
BOOST_DESCRIBE_STRUCT(BalanceRequest, (), (dry_run))
inline void describe_fields(json::Fields<BalanceRequest>& fields) {
  fields("dry_run").has_default().doc({"仅给出计划", "Only tells the plan"});
}

struct RecoveryRequest {
  bool confirmed = false;
};
BOOST_DESCRIBE_STRUCT(RecoveryRequest, (), (confirmed))
inline void describe_fields(json::Fields<RecoveryRequest>& fields) {
  fields("confirmed")
      .has_default()
      .doc({"确认所有不可访问的机器均已关机", "Somebody has seen that every machine that does not answer is off"});
}

struct ReplaceRequest {
  std::string container_name;
  std::optional<std::string> image;
  std::optional<std::string> server;
};
BOOST_DESCRIBE_STRUCT(ReplaceRequest, (), (container_name, image, server))
inline void describe_fields(json::Fields<ReplaceRequest>& fields) {
  fields("container_name").length(1, 128);
  fields("image").length(1, 512).doc({"新镜像", "Another image"});
  fields("server").length(1, 63).doc({"新服务器", "Another server"});
}

/// `archive` is when the archive was made that the container comes from; null: it was made from its image.
struct MovedLine {
  std::string container_name;
  std::int64_t container_id = 0;
  std::string from;
  std::string to;
  std::optional<std::string> archive;
  std::vector<std::string> lost;
};
BOOST_DESCRIBE_STRUCT(MovedLine, (), (container_name, container_id, from, to, archive, lost))

struct NotMovedLine {
  std::string container_name;
  std::int64_t container_id = 0;
  std::string server;
  std::string error;
};
BOOST_DESCRIBE_STRUCT(NotMovedLine, (), (container_name, container_id, server, error))

struct RefusedLine {
  std::string server;
  std::string error;
};
BOOST_DESCRIBE_STRUCT(RefusedLine, (), (server, error))

struct PlannedLine {
  std::string container_name;
  std::int64_t container_id = 0;
  std::string from;
  std::string to;
};
BOOST_DESCRIBE_STRUCT(PlannedLine, (), (container_name, container_id, from, to))

struct MovesDone {
  std::string message;
  std::string operation;
  std::vector<MovedLine> moved;
  std::vector<NotMovedLine> not_moved;
  std::vector<RefusedLine> refused;
};
BOOST_DESCRIBE_STRUCT(MovesDone, (), (message, operation, moved, not_moved, refused))

/// The greatest share of a server that is taken, now and after the plan.
struct BalancePlanned {
  std::string message;
  std::vector<PlannedLine> plan;
  double worst_before = 0;
  double worst_after = 0;
};
BOOST_DESCRIBE_STRUCT(BalancePlanned, (), (message, plan, worst_before, worst_after))

/// Behind a 202: it is still under way.
struct MovesGoing {
  std::string message;
  std::string operation;
};
BOOST_DESCRIBE_STRUCT(MovesGoing, (), (message, operation))

struct Replaced {
  std::string message;
  std::vector<MovedLine> moved;
};
BOOST_DESCRIBE_STRUCT(Replaced, (), (message, moved))

}  // namespace berth::api::container_rental
