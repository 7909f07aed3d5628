#include "api/shared/session_routes.h"

#include <boost/describe/class.hpp>
#include <optional>
#include <string>
#include <vector>

namespace berth::api {
namespace session {

struct LoginRequest {
  std::optional<std::string> username;
  std::optional<std::string> email;
  std::string password;
  std::optional<std::string> otp;
};
BOOST_DESCRIBE_STRUCT(LoginRequest, (), (username, email, password, otp))
void describe_fields(json::Fields<LoginRequest>& fields) {
  fields("username").length(1, 254).doc({"用户名或邮箱", "User name or e-mail address"}).example("admin");
  fields("email").length(1, 254).doc({"同 username", "The same as username"});
  fields("password").length(1, 1024).secret();
  fields("otp").length(6, 6).doc({"两步验证码", "Code of the second factor"});
}

struct RefreshRequest {
  std::string refresh_token;
};
BOOST_DESCRIBE_STRUCT(RefreshRequest, (), (refresh_token))
void describe_fields(json::Fields<RefreshRequest>& fields) {
  fields("refresh_token").length(1, 512).secret();
}

struct UserAnswer {
  std::int64_t id = 0;
  std::string uuid;
  std::string username;
  std::string email;
  std::string role;
  std::vector<std::string> permissions;
  bool totp_enabled = false;
  std::string created_at;
  std::optional<std::string> last_login_at;
};
BOOST_DESCRIBE_STRUCT(UserAnswer, (),
                      (id, uuid, username, email, role, permissions, totp_enabled, created_at, last_login_at))

struct TokenAnswer {
  std::string access_token;
  std::string refresh_token;
  std::string token_type;
  std::int64_t expires_in = 0;
  UserAnswer user;
};
BOOST_DESCRIBE_STRUCT(TokenAnswer, (), (access_token, refresh_token, token_type, expires_in, user))

struct Done {
  bool success = true;
  std::string message;
};
BOOST_DESCRIBE_STRUCT(Done, (), (success, message))

struct PasswordChange {
  std::string old_password;
  std::string new_password;
};
BOOST_DESCRIBE_STRUCT(PasswordChange, (), (old_password, new_password))
void describe_fields(json::Fields<PasswordChange>& fields) {
  fields("old_password").length(1, 1024).secret();
  fields("new_password").length(8, 1024).secret();
}

struct TotpAnswer {
  std::string secret;
  std::string uri;
};
BOOST_DESCRIBE_STRUCT(TotpAnswer, (), (secret, uri))

struct CodeRequest {
  std::string code;
};
BOOST_DESCRIBE_STRUCT(CodeRequest, (), (code))
void describe_fields(json::Fields<CodeRequest>& fields) {
  fields("code").length(6, 6).secret();
}

struct KeyRequest {
  std::string name;
  std::vector<std::string> scope;
  std::optional<std::string> expires_at;
};
BOOST_DESCRIBE_STRUCT(KeyRequest, (), (name, scope, expires_at))
void describe_fields(json::Fields<KeyRequest>& fields) {
  fields("name").length(1, 64).example("backup-script");
  fields("scope").has_default().items(0, 64).doc({"权限列表，缺省为 [\"*\"]；不会超过所有者的权限",
                                                  "Permissions, [\"*\"] if absent; never more than the owner's"});
  fields("expires_at").pattern_name("date-time");
}

struct KeyAnswer {
  std::string id;
  std::string name;
  std::vector<std::string> scope;
  std::string prefix;
  std::string created_at;
  std::optional<std::string> expires_at;
  std::optional<std::string> last_used_at;
  std::optional<std::string> key;
};
BOOST_DESCRIBE_STRUCT(KeyAnswer, (), (id, name, scope, prefix, created_at, expires_at, last_used_at, key))

struct KeyPath {
  std::string id;
};
BOOST_DESCRIBE_STRUCT(KeyPath, (), (id))

std::optional<std::string> optional_time(const std::optional<Timestamp>& time) {
  return time ? std::optional(format_utc(*time)) : std::nullopt;
}

UserAnswer answer_of(const identity::User& user, const identity::Principal& principal) {
  return {user.id.value(),
          user.uuid,
          user.username,
          user.email,
          std::string(identity::name(user.role)),
          principal.permissions.patterns(),
          user.totp_enabled,
          format_utc(user.created_at),
          optional_time(user.last_login_at)};
}

TokenAnswer answer_of(const identity::Tokens& tokens) {
  return {tokens.access_token, tokens.refresh_token, "bearer", tokens.expires_in.count(),
          answer_of(tokens.user, *tokens.principal)};
}

KeyAnswer answer_of(const identity::ApiKey& key, std::optional<std::string> secret) {
  return {key.id,
          key.name,
          key.scope,
          key.prefix,
          format_utc(key.created_at),
          optional_time(key.expires_at),
          optional_time(key.last_used_at),
          std::move(secret)};
}

/// What concerns the account itself needs the person's own session: a key of narrow scope could widen itself.
Result<UserId> account_of(const Call& call) {
  if (call.principal->kind == identity::Principal::Kind::session) return call.principal->user_id;
  return Error(ErrorCode::permission_denied, "auth.session_required",
               {"此操作需要登录会话，不能使用 API 密钥", "This needs a signed-in session, not an API key"});
}

Done done(const Call& call, const Text& message) {
  return {true, message.in(call.language)};
}

Declaration route(http::Method method, std::string pattern, identity::Permission permission, Text summary,
                  WorkerPool& pool) {
  return {method, std::move(pattern), permission, std::move(summary), "auth", &pool};
}

void add_token_routes(Contract& contract, identity::IdentityService& identity, WorkerPool& login_pool,
                      WorkerPool& pool) {
  using http::Method;
  using identity::permissions::kPublic;
  using identity::permissions::kSignedIn;
  contract.add<Nothing, Nothing, LoginRequest>(
      route(Method::post, "/auth/login", kPublic, {"登录", "Sign in"}, login_pool),
      [&identity](const Call& call, Nothing, Nothing, LoginRequest body) -> Result<TokenAnswer> {
        const std::string login = body.username.value_or(body.email.value_or(""));
        const Secret password(std::move(body.password));
        return answer_of(BERTH_TRY(identity.login(login, password, body.otp.value_or(""), call.origin())));
      });
  contract.add<Nothing, Nothing, RefreshRequest>(
      route(Method::post, "/auth/refresh", kPublic, {"刷新令牌", "Trade a refresh token"}, pool),
      [&identity](const Call& call, Nothing, Nothing, RefreshRequest body) -> Result<TokenAnswer> {
        return answer_of(BERTH_TRY(identity.refresh(body.refresh_token, call.origin())));
      });
  contract.add<Nothing, Nothing, Nothing>(route(Method::post, "/auth/logout", kSignedIn, {"登出", "Sign out"}, pool),
                                          [&identity](const Call& call, Nothing, Nothing, Nothing) -> Result<Done> {
                                            BERTH_CHECK(account_of(call));
                                            BERTH_CHECK(identity.logout(*call.principal, call.origin()));
                                            return done(call, {"登出成功", "Signed out"});
                                          });
  contract.add<Nothing, Nothing, Nothing>(
      route(Method::get, "/auth/me", kSignedIn, {"当前用户", "The caller"}, pool),
      [&identity](const Call& call, Nothing, Nothing, Nothing) -> Result<UserAnswer> {
        return answer_of(BERTH_TRY(identity.find_user(call.principal->user_id)), *call.principal);
      });
  contract.add<Nothing, Nothing, PasswordChange>(
      route(Method::post, "/auth/password", kSignedIn, {"修改密码", "Change the password"}, login_pool),
      [&identity](const Call& call, Nothing, Nothing, PasswordChange body) -> Result<Done> {
        const Secret old_password(std::move(body.old_password));
        const Secret new_password(std::move(body.new_password));
        BERTH_CHECK(identity.change_password(BERTH_TRY(account_of(call)), old_password, new_password, call.origin()));
        return done(call, {"密码已修改，请重新登录", "The password is changed; sign in again"});
      });
}

void add_totp_routes(Contract& contract, identity::IdentityService& identity, WorkerPool& pool) {
  using http::Method;
  using identity::permissions::kSignedIn;
  contract.add<Nothing, Nothing, Nothing>(
      route(Method::post, "/auth/totp", kSignedIn, {"开始启用两步验证", "Begin with a second factor"}, pool),
      [&identity](const Call& call, Nothing, Nothing, Nothing) -> Result<TotpAnswer> {
        const auto enrolment = BERTH_TRY(identity.begin_totp(BERTH_TRY(account_of(call)), call.origin()));
        return TotpAnswer{enrolment.secret, enrolment.uri};
      });
  contract.add<Nothing, Nothing, CodeRequest>(
      route(Method::post, "/auth/totp/confirm", kSignedIn, {"确认两步验证", "Confirm the second factor"}, pool),
      [&identity](const Call& call, Nothing, Nothing, CodeRequest body) -> Result<Done> {
        BERTH_CHECK(identity.confirm_totp(BERTH_TRY(account_of(call)), body.code, call.origin()));
        return done(call, {"两步验证已启用", "The second factor is on"});
      });
  contract.add<Nothing, Nothing, Nothing>(
      route(Method::delete_, "/auth/totp", kSignedIn, {"关闭两步验证", "Turn the second factor off"}, pool),
      [&identity](const Call& call, Nothing, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(identity.disable_totp(BERTH_TRY(account_of(call)), call.origin()));
        return done(call, {"两步验证已关闭", "The second factor is off"});
      });
}

void add_key_routes(Contract& contract, identity::IdentityService& identity, WorkerPool& pool) {
  using http::Method;
  using identity::permissions::kSignedIn;
  contract.add<Nothing, Nothing, Nothing>(
      route(Method::get, "/auth/keys", kSignedIn, {"列出 API 密钥", "List API keys"}, pool),
      [&identity](const Call& call, Nothing, Nothing, Nothing) -> Result<std::vector<KeyAnswer>> {
        std::vector<KeyAnswer> answers;
        for (const auto& key : BERTH_TRY(identity.list_keys(call.principal->user_id))) {
          answers.push_back(answer_of(key, std::nullopt));
        }
        return answers;
      });
  contract.add<Nothing, Nothing, KeyRequest>(
      route(Method::post, "/auth/keys", kSignedIn, {"创建 API 密钥（只显示一次）", "Create an API key (shown once)"},
            pool),
      [&identity](const Call& call, Nothing, Nothing, KeyRequest body) -> Result<Reply<KeyAnswer>> {
        identity::NewApiKey wanted;
        wanted.name = body.name;
        if (!body.scope.empty()) wanted.scope = body.scope;
        if (body.expires_at) wanted.expires_at = BERTH_TRY(parse_timestamp(*body.expires_at));
        const auto issued = BERTH_TRY(identity.create_key(BERTH_TRY(account_of(call)), wanted, call.origin()));
        return Reply<KeyAnswer>{answer_of(issued.key, std::string(issued.secret.reveal())), 201, {}};
      });
  contract.add<KeyPath, Nothing, Nothing>(
      route(Method::delete_, "/auth/keys/{id}", kSignedIn, {"删除 API 密钥", "Delete an API key"}, pool),
      [&identity](const Call& call, KeyPath path, Nothing, Nothing) -> Result<Done> {
        BERTH_CHECK(identity.delete_key(BERTH_TRY(account_of(call)), path.id, call.origin()));
        return done(call, {"密钥已删除", "The key is deleted"});
      });
}

}  // namespace session

void add_session_routes(Contract& contract, identity::IdentityService& identity, WorkerPool& login_pool,
                        WorkerPool& pool) {
  session::add_token_routes(contract, identity, login_pool, pool);
  session::add_totp_routes(contract, identity, pool);
  session::add_key_routes(contract, identity, pool);
}

}  // namespace berth::api
