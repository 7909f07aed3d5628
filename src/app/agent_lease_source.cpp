#include "app/agent_lease_source.h"

#include "api/container_rental/lease_wire.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::app {
namespace {

namespace wire = api::container_rental;

constexpr const char* kLease = "/container-rental/api/agent/lease";

Result<fleet::Grant> grant_of(const std::string& word) {
  using fleet::Grant;
  for (const Grant grant : {Grant::refused, Grant::timed, Grant::standing, Grant::released}) {
    if (word == name(grant)) return grant;
  }
  return Error(ErrorCode::internal, "cli.answer", {"服务器的回答无法理解", "the server's answer makes no sense"});
}

std::vector<fleet::ContainerThere> containers_of(const std::vector<wire::ContainerThereLine>& lines) {
  std::vector<fleet::ContainerThere> containers;
  for (const auto& line : lines) containers.push_back({line.name, line.id});
  return containers;
}

}  // namespace

Result<fleet::LeaseAnswer> AgentLeaseSource::ask(const fleet::LeaseRequest& request, Deadline deadline) {
  wire::LeaseAsked asked{
      server_,         std::string(token_.reveal()), std::string(name(request.holding)), request.running,
      request.owes,    request.leaving,              request.last_answer};
  std::string body = json::to_json(asked);
  auto text = client_.call(http::Method::post, kLease, body, deadline.remaining());
  wipe(body);
  wipe(asked.token);
  if (!text) return take_error(text);
  const auto given = BERTH_TRY(json::from_json<wire::LeaseGiven>(*text));
  fleet::LeaseAnswer answer;
  answer.grant = BERTH_TRY(grant_of(given.grant));
  answer.number = given.number;
  answer.terms.duration = std::chrono::milliseconds(given.duration);
  answer.terms.renewal = std::chrono::milliseconds(given.renewal);
  answer.terms.stopping = std::chrono::milliseconds(given.stopping);
  answer.not_to_start = {containers_of(given.elsewhere), containers_of(given.unwanted), containers_of(given.changing)};
  return answer;
}

}  // namespace berth::app
