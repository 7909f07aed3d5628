#include "api/container_rental/container_rental.h"

#include "api/container_rental/ha_routes.h"
#include "api/container_rental/lease_routes.h"
#include "api/container_rental/rental_envelope.h"
#include "api/container_rental/terminal_routes.h"
#include "api/container_rental/resource_routes.h"
#include "api/container_rental/wire.h"
#include "api/shared/operation_routes.h"
#include "api/shared/session_routes.h"
#include "api/shared/system_routes.h"

namespace berth::api::container_rental {
namespace {

constexpr std::string_view kVersion = "1.0.0";

}  // namespace

ContainerRental::ContainerRental(const Parts& parts)
    : parts_(parts),
      contract_(std::make_shared<Contract>(
          Contract::Settings{"container-rental", {"容器租赁 API", "Container rental API"}, std::string(kVersion)},
          std::make_shared<RentalEnvelope>(), parts.authenticator, parts.metrics)) {}

Result<std::unique_ptr<ContainerRental>> ContainerRental::create(const Parts& parts) {
  std::unique_ptr<ContainerRental> rental(new ContainerRental(parts));
  rental->add_user_routes();
  rental->add_container_routes();
  rental->add_lifecycle_routes();
  add_terminal_routes(*rental->contract_, {parts.containers, parts.sockets, parts.changes});
  rental->add_health_routes();
  rental->add_server_routes();
  add_ha_routes(*rental->contract_, {parts.ha, parts.mover, parts.containers, parts.servers, parts.changes});
  add_lease_routes(*rental->contract_, {parts.leases, parts.servers, parts.changes, parts.renewals});
  add_resource_routes(*rental->contract_, {parts.resources, parts.registries, parts.changes, parts.reads});
  rental->add_acl_routes();
  rental->add_rental_routes();
  rental->add_traffic_routes();
  rental->add_alert_routes();
  add_session_routes(*rental->contract_, parts.identity, parts.logins, parts.reads);
  add_operation_routes(*rental->contract_, parts.operations, parts.reads);
  add_description_routes(*rental->contract_);
  add_metrics_route(*rental->contract_, parts.metrics, parts.reads);
  BERTH_CHECK(rental->contract_->seal());
  return rental;
}

void ContainerRental::add_user_routes() {
  contract_->add<Nothing, Nothing, NewUserRequest>(
      {http::Method::post,
       "/api/add_user",
       identity::permissions::kUsersCreate,
       {"创建用户", "Create a user"},
       "users",
       &parts_.logins},
      [this](const Call& call, Nothing, Nothing, NewUserRequest body) -> Result<UserCreated> {
        identity::NewUser user;
        user.username = std::move(body.username);
        user.email = std::move(body.email);
        user.password = Secret(std::move(body.password));
        const identity::User made = BERTH_TRY(parts_.identity.create_user(user, call.origin()));
        const Text done{"用户创建成功", "User created successfully"};
        return UserCreated{done.in(call.language), made.id.value()};
      });
}

}  // namespace berth::api::container_rental
