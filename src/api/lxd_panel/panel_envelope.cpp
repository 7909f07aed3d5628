#include "api/lxd_panel/panel_envelope.h"

#include <boost/describe/class.hpp>
#include <optional>
#include <string>
#include <vector>

#include "json/write.h"

namespace berth::api::lxd_panel {
namespace wire {

struct Problem {
  std::string detail;
};
BOOST_DESCRIBE_STRUCT(Problem, (), (detail))

struct FieldProblem {
  std::string detail;
  std::vector<BadField> errors;
};
BOOST_DESCRIBE_STRUCT(FieldProblem, (), (detail, errors))

}  // namespace wire

namespace {

constexpr int kFieldStatus = 422;

}  // namespace

std::string PanelEnvelope::words(const Error& error, Language language) {
  if (error.reason() == "engine.unavailable")
    return language == Language::zh ? "LXD服务不可用" : "LXD is not available";
  if (error.reason() == "engine.timeout") {
    return language == Language::zh ? "LXD未在期限内应答" : "LXD did not answer in time";
  }
  return error.message().in(language);
}

http::Response PanelEnvelope::error(const Error& error, Language language) const {
  http::Response response;
  response.status = status_of(error.code(), kFieldStatus);
  std::string detail = words(error, language);
  if (error.fields().empty()) {
    response.body = json::to_json(wire::Problem{std::move(detail)});
  } else {
    wire::FieldProblem problem;
    problem.errors = spell_out_fields(error, language, detail);
    problem.detail = std::move(detail);
    response.body = json::to_json(problem);
  }
  add_error_headers(error, response);
  return response;
}

}  // namespace berth::api::lxd_panel
