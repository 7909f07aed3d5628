#include "micro/identity_fixture.h"

namespace berth::bench {
namespace {

audit::Origin origin() {
  return {UserId(), "bench", "127.0.0.1", "lxd-panel", RequestId("bench")};
}

}  // namespace

IdentityFixture::IdentityFixture() {
  store::Database::Settings store;
  store.file = std::filesystem::path(folder_.path()) / "berth.db";
  database_ = must(store::Database::open(store, metrics_));
  must(database_->migrate());
  audit_ = std::make_unique<audit::AuditLog>(*database_, sealing_.derive("audit"), system_clock());
  identity::IdentityService::Settings settings;
  settings.access_lifetime = std::chrono::hours(2);
  settings.password_memory_bytes = 8192;
  settings.password_passes = 1;
  service_ = must(identity::IdentityService::create(settings, *database_, *audit_, sealing_, system_clock()));
  const std::string password = "correct horse battery";
  identity::NewUser user;
  user.username = "bench";
  user.email = "bench@example.com";
  user.password = Secret(password);
  user.role = identity::Role::admin;
  must(service_->create_user(user, origin()));
  principal_ = must(service_->login("bench", Secret(password), "", origin())).principal;
}

std::string IdentityFixture::new_token() {
  return must(service_->renew(*principal_, origin())).access_token;
}

}  // namespace berth::bench
