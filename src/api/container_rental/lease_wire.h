#pragma once

#include <boost/describe/class.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "json/fields.h"
#include "json/write.h"

// What a server's agent and Berth say to each other; fleet/lease.h has the meaning. Times in milliseconds.
namespace berth::api::container_rental {

struct LeaseAsked {
  std::string server;
  std::string token;
  std::string holding;
  std::uint32_t running = 0;
  std::uint32_t owes = 0;
  bool leaving = false;
  std::int64_t last_answer = 0;
};
BOOST_DESCRIBE_STRUCT(LeaseAsked, (), (server, token, holding, running, owes, leaving, last_answer))
inline void describe_fields(json::Fields<LeaseAsked>& fields) {
  fields("server").length(1, 63).doc({"服务器名称", "The server's name"});
  fields("token").length(1, 256).secret().doc({"berth servers agent 签发", "Issued by berth servers agent"});
  fields("holding").one_of({"unbound", "nothing", "timed", "standing"});
  fields("running").has_default().range(0, 1'000'000);
  fields("owes").has_default().range(0, 1'000'000);
  fields("leaving").has_default();
  fields("last_answer").has_default().range(0, INT64_MAX);
}

struct ContainerThereLine {
  std::string name;
  std::string id;
};
BOOST_DESCRIBE_STRUCT(ContainerThereLine, (), (name, id))

struct LeaseGiven {
  std::string grant;
  std::int64_t number = 0;
  std::int64_t duration = 0;
  std::int64_t renewal = 0;
  std::int64_t stopping = 0;
  // What is not to be started again.
  std::vector<ContainerThereLine> elsewhere;
  std::vector<ContainerThereLine> unwanted;
  std::vector<ContainerThereLine> changing;
};
BOOST_DESCRIBE_STRUCT(LeaseGiven, (), (grant, number, duration, renewal, stopping, elsewhere, unwanted, changing))

inline void describe_fields(json::Fields<LeaseGiven>& fields) {
  // An older Berth does not know of these.
  fields("unwanted").has_default();
  fields("changing").has_default();
}

struct AgentToken {
  std::string message;
  std::string server;
  std::string token;
};
BOOST_DESCRIBE_STRUCT(AgentToken, (), (message, server, token))

}  // namespace berth::api::container_rental
