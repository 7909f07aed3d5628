#include "api/container_rental/rental_envelope.h"

#include <boost/describe/class.hpp>
#include <vector>

#include "json/write.h"

namespace berth::api::container_rental {
namespace wire {

struct Problem {
  std::string error;
};
BOOST_DESCRIBE_STRUCT(Problem, (), (error))

struct FieldProblem {
  std::string error;
  std::vector<BadField> errors;
};
BOOST_DESCRIBE_STRUCT(FieldProblem, (), (error, errors))

}  // namespace wire

namespace {

constexpr int kFieldStatus = 400;
constexpr int kBadGateway = 502;

}  // namespace

std::string RentalEnvelope::words(const Error& error, Language language) {
  // The document's own words for whatever is wrong with a request's fields.
  if (error.code() == ErrorCode::invalid_argument && !error.fields().empty()) {
    return language == Language::zh ? "数据无效" : "Invalid data";
  }
  return error.message().in(language);
}

http::Response RentalEnvelope::error(const Error& error, Language language) const {
  http::Response response;
  response.status = error.reason() == "image.pull_failed" ? kBadGateway : status_of(error.code(), kFieldStatus);
  std::string text = words(error, language);
  if (error.fields().empty()) {
    response.body = json::to_json(wire::Problem{std::move(text)});
  } else {
    wire::FieldProblem problem;
    problem.errors = spell_out_fields(error, language, text);
    problem.error = std::move(text);
    response.body = json::to_json(problem);
  }
  add_error_headers(error, response);
  return response;
}

}  // namespace berth::api::container_rental
