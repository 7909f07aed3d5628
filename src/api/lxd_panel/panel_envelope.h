#pragma once

#include <string>

#include "api/shared/envelope.h"

namespace berth::api::lxd_panel {

/// `{"detail": "…"}`, in Chinese unless asked otherwise; bad fields are listed beside it as `errors`.
class PanelEnvelope final : public Envelope {
 public:
  Language default_language() const override { return Language::zh; }
  http::Response error(const Error& error, Language language) const override;
  /// The contract's words for an error, without its fields.
  static std::string words(const Error& error, Language language);
};

}  // namespace berth::api::lxd_panel
