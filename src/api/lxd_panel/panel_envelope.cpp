#include "api/lxd_panel/panel_envelope.h"

#include <boost/describe/class.hpp>
#include <optional>
#include <string>
#include <vector>

#include "json/write.h"

namespace berth::api::lxd_panel {
namespace wire {

struct BadField {
  std::string field;
  std::string message;
};
BOOST_DESCRIBE_STRUCT(BadField, (), (field, message))

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
    for (const FieldError& field : error.fields()) {
      detail += (problem.errors.empty() ? ": " : "; ") + field.field + " " + field.message.in(language);
      problem.errors.push_back({field.field, field.message.in(language)});
    }
    problem.detail = std::move(detail);
    response.body = json::to_json(problem);
  }
  add_error_headers(error, response);
  return response;
}

}  // namespace berth::api::lxd_panel
