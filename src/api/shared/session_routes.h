#pragma once

#include "api/shared/contract.h"
#include "identity/identity_service.h"

namespace berth::api {

/// Login, tokens, second factor and API keys in the bare style of the contracts whose documents have no login:
/// `POST /auth/login|refresh|logout`, `GET /auth/me`, `/auth/password`, `/auth/totp…`, `/auth/keys…`.
/// `login_pool` is apart from the rest: password hashing is slow on purpose.
void add_session_routes(Contract& contract, identity::IdentityService& identity, WorkerPool& login_pool,
                        WorkerPool& pool);

}  // namespace berth::api
