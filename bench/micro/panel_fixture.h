#pragma once

#include <memory>
#include <string>

#include "api/lxd_panel/lxd_panel.h"
#include "micro/identity_fixture.h"

namespace berth::bench {

/// The whole contract over a fake engine, without a server: what an I/O thread calls for each request.
class PanelFixture {
 public:
  explicit PanelFixture(std::size_t instances);
  ~PanelFixture();

  api::Contract& contract();
  /// A live access token of an administrator.
  const std::string& token() const;
  IdentityFixture& identity();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace berth::bench
