#pragma once

#include <string>

#include "api/shared/envelope.h"

namespace berth::api::container_rental {

/// `{"error": "…"}`, in English unless asked otherwise; bad fields are 400 and listed beside it as `errors`. A failed
/// pull of an image is 502 with the engine's reason.
class RentalEnvelope final : public Envelope {
 public:
  Language default_language() const override { return Language::en; }
  http::Response error(const Error& error, Language language) const override;
  /// The contract's words for an error, without its fields.
  static std::string words(const Error& error, Language language);
};

}  // namespace berth::api::container_rental
