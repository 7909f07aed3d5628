#pragma once

#include <boost/describe/class.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "http/message.h"

namespace berth::api {

/// How a contract says that something failed. Stateless, thread-safe.
class Envelope {
 public:
  virtual ~Envelope() = default;
  /// The language of its document.
  virtual Language default_language() const = 0;
  /// The answer to an error, with the contract's own status, words and fields.
  virtual http::Response error(const Error& error, Language language) const = 0;
};

/// The status that an error has in most contracts. `field_status` is what the contract answers to a bad field:
/// 422 or 400.
int status_of(ErrorCode code, int field_status);

/// A bad field, as the contracts that list them beside the words do.
struct BadField {
  std::string field;
  std::string message;
};
BOOST_DESCRIBE_STRUCT(BadField, (), (field, message))

/// The bad fields of an error; all of them are told in `words` too, for clients that know nothing of the list.
std::vector<BadField> spell_out_fields(const Error& error, Language language, std::string& words);

/// The error behind a status that the server found by itself: a request that could not be read.
Error error_of_status(int status);

/// Adds the fields that go with some errors: Retry-After, WWW-Authenticate.
void add_error_headers(const Error& error, http::Response& response);

}  // namespace berth::api
