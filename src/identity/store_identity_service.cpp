#include "identity/store_identity_service.h"

#include <fmt/format.h>
#include <sodium.h>

#include <charconv>

#include "base/encoding.h"
#include "base/log.h"
#include "identity/auth_errors.h"
#include "identity/lookup_hash.h"
#include "json/write.h"

namespace berth::identity {
namespace {

constexpr std::string_view kChannel = "identity";
constexpr std::string_view kKeyMark = "berth_";
constexpr std::size_t kLongestKey = 256;
/// Of users to be read anew; beyond it everything is.
constexpr std::size_t kMostMail = 1000;
constexpr std::chrono::seconds kRetryReading{1};
constexpr std::chrono::minutes kKeyUseInterval{1};
constexpr std::size_t kMostRecordedBlocks = 10'000;

std::string json_object(std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  std::string text = "{";
  for (const auto& [name, value] : members) {
    if (text.size() > 1) text.push_back(',');
    json::append_string(text, name);
    text.push_back(':');
    json::append_string(text, value);
  }
  text.push_back('}');
  return text;
}

}  // namespace

std::string lookup_hash(std::string_view secret) {
  std::string hash(crypto_generichash_BYTES, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(),
                     reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), nullptr, 0);
  return to_base64(hash);
}

Result<std::unique_ptr<IdentityService>> IdentityService::create(const Settings& settings, store::Database& database,
                                                                 audit::AuditLog& audit, const Sealing& sealing,
                                                                 const Clock& clock) {
  auto service = std::make_unique<StoreIdentityService>(settings, database, audit, sealing, clock);
  BERTH_CHECK(service->start());
  return std::unique_ptr<IdentityService>(std::move(service));
}

StoreIdentityService::StoreIdentityService(const Settings& settings, store::Database& database, audit::AuditLog& audit,
                                           const Sealing& sealing, const Clock& clock)
    : settings_(settings),
      database_(database),
      audit_(audit),
      sealing_(sealing),
      clock_(clock),
      node_(to_hex(random_bytes(8))),
      codec_(sealing.derive("tokens"), settings.issuer),
      hasher_({.memory_bytes = settings.password_memory_bytes, .passes = settings.password_passes}),
      throttle_(settings.free_attempts),
      mailbox_(std::make_shared<Mailbox>()) {}

StoreIdentityService::~StoreIdentityService() {
  {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->closed = true;
  }
  mailbox_->filled.notify_all();
}

Result<void> StoreIdentityService::start() {
  // Listening begins before the first reading: what changes in between is read twice rather than
  // never.
  database_.listen([mailbox = mailbox_, node = node_](std::string_view channel, std::string_view payload) {
    if (channel == store::Database::kMissedChannel) return mailbox->post_everything();
    if (channel != kChannel) return;
    const std::size_t space = payload.find(' ');
    if (payload.substr(0, space) == node) return;
    const std::string_view subject = space == std::string_view::npos ? "" : payload.substr(space + 1);
    std::int64_t user = 0;
    const auto [end, error] = std::from_chars(subject.data(), subject.data() + subject.size(), user);
    if (error == std::errc() && end == subject.data() + subject.size() && user > 0) {
      mailbox->post(UserId(user));
    } else {
      mailbox->post_everything();
    }
  });
  BERTH_CHECK(reload_everything());
  reader_ = std::jthread([this] { read_mail(); });
  return {};
}

// Who is calling

Result<PrincipalPointer> StoreIdentityService::authenticate(std::string_view credential) const {
  const Timestamp now = clock_.now();
  if (credential.starts_with(kKeyMark)) {
    if (credential.size() > kLongestKey) return invalid_credential("API key too long");
    return directory_.of_key(lookup_hash(credential), now);
  }
  if (credential.empty() || credential.size() > TokenCodec::kLongest) return invalid_credential("length");
  const std::uint64_t epoch = directory_.epoch();
  const auto digest = TokenCache::digest(credential);
  if (auto known = cache_.find(digest, epoch)) {
    if (now >= known->expires_at) return expired_credential();
    return known;
  }
  const TokenClaims claims = BERTH_TRY(codec_.parse(credential, now));
  auto principal = BERTH_TRY(directory_.of_token(claims, now));
  cache_.keep(digest, epoch, principal);
  return principal;
}

Result<PrincipalPointer> StoreIdentityService::find_again(std::string_view credential, const Principal& then) const {
  if (then.kind != Principal::Kind::session) return authenticate(credential);
  return directory_.of_token({.user_uuid = then.user_uuid,
                              .session_id = then.session_id,
                              .token_id = then.token_id,
                              .issued_at = {},
                              .expires_at = then.expires_at},
                             clock_.now());
}

// Memory

void StoreIdentityService::Mailbox::post(UserId user) {
  {
    const std::lock_guard lock(mutex);
    users.insert(user);
    if (users.size() > kMostMail) {
      users.clear();
      everything = true;
    }
  }
  filled.notify_all();
}

void StoreIdentityService::Mailbox::post_everything() {
  {
    const std::lock_guard lock(mutex);
    everything = true;
  }
  filled.notify_all();
}

void StoreIdentityService::read_mail() {
  std::unique_lock lock(mailbox_->mutex);
  while (true) {
    mailbox_->filled.wait(lock,
                          [this] { return mailbox_->closed || mailbox_->everything || !mailbox_->users.empty(); });
    if (mailbox_->closed) return;
    const bool everything = std::exchange(mailbox_->everything, false);
    const auto users = std::exchange(mailbox_->users, {});
    lock.unlock();
    bool complete = true;
    if (everything) {
      const auto reloaded = reload_everything();
      if (!reloaded) mailbox_->post_everything();
      complete = reloaded.has_value();
    } else {
      for (const UserId user : users) {
        if (reload(user)) continue;
        mailbox_->post(user);
        complete = false;
      }
    }
    lock.lock();
    // A store that does not answer is asked again after a while, not at once.
    if (!complete) mailbox_->filled.wait_for(lock, kRetryReading, [this] { return mailbox_->closed; });
  }
}

Result<void> StoreIdentityService::reload(UserId id) {
  const std::lock_guard lock(reload_mutex_);
  directory_.replace_user(id, BERTH_TRY(database_.read([&](store::Transaction& transaction) {
                            return load_user(transaction, id, clock_.now());
                          })));
  return {};
}

Result<void> StoreIdentityService::reload_everything() {
  const std::lock_guard lock(reload_mutex_);
  std::unordered_map<std::string, Timestamp> revoked;
  auto users = BERTH_TRY(database_.read([&](store::Transaction& transaction) -> Result<std::vector<UserRecords>> {
    revoked = BERTH_TRY(load_revoked_tokens(transaction, clock_.now()));
    return load_users(transaction, clock_.now());
  }));
  directory_.replace_all(std::move(users), std::move(revoked));
  return {};
}

void StoreIdentityService::remember(UserId id) {
  const auto reloaded = reload(id);
  if (reloaded) return;
  log::warning("identity", "user {} is locked out until the store answers: {}", id.value(),
               reloaded.error().describe());
  {
    const std::lock_guard lock(reload_mutex_);
    directory_.replace_user(id, std::nullopt);
  }
  mailbox_->post(id);
}

Result<void> StoreIdentityService::announce(store::Transaction& transaction, UserId id) {
  return database_.notify(transaction, kChannel, fmt::format("{} {}", node_, id.value()));
}

// Audit

Result<void> StoreIdentityService::record(store::Transaction& transaction, const audit::Origin& origin,
                                          std::string action, const User& user, Details details,
                                          audit::Outcome outcome) {
  return audit_.append(transaction, origin,
                       {.action = std::move(action),
                        .resource_type = "user",
                        .resource_id = user.uuid,
                        .outcome = outcome,
                        .details = json_object(details)});
}

Result<void> StoreIdentityService::record_key(store::Transaction& transaction, const audit::Origin& origin,
                                              std::string action, const ApiKey& key, const User& owner) {
  return audit_.append(
      transaction, origin,
      {.action = std::move(action),
       .resource_type = "api_key",
       .resource_id = key.id,
       .outcome = audit::Outcome::success,
       .details = json_object(
           {{"name", key.name}, {"prefix", key.prefix}, {"owner", owner.username}, {"scope", scope_text(key.scope)}})});
}

Result<void> StoreIdentityService::record_block(const audit::Origin& origin, const std::string& action,
                                                const PasswordCheck& check, const LoginThrottle::Block& block) {
  {
    // Whoever hammers on gets one entry per wait: an endless log would be an attack of its own.
    const std::lock_guard lock(blocks_mutex_);
    if (recorded_blocks_.size() >= kMostRecordedBlocks) recorded_blocks_.clear();
    auto& recorded = recorded_blocks_[block.subject];
    if (recorded == block.until) return {};
    recorded = block.until;
  }
  return database_.write([&](store::Transaction& transaction) {
    return record(transaction, origin, action, check.account ? check.account->user : User{},
                  {{"login", check.login}, {"reason", "throttled"}}, audit::Outcome::failure);
  });
}

// Housekeeping

Result<void> StoreIdentityService::sweep() {
  const Timestamp now = clock_.now();
  const auto uses = directory_.collect_uses(kKeyUseInterval);
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    const store::Parameters at_now = {{"now", now}};
    BERTH_CHECK(transaction.execute("DELETE FROM refresh_tokens WHERE expires_at <= :now", at_now));
    BERTH_CHECK(transaction.execute("DELETE FROM sessions WHERE expires_at <= :now", at_now));
    BERTH_CHECK(transaction.execute("DELETE FROM revoked_tokens WHERE expires_at <= :now", at_now));
    for (const auto& use : uses) {
      BERTH_CHECK(
          transaction.execute("UPDATE api_keys SET last_used_at = :at WHERE id = :id AND "
                              "(last_used_at IS NULL OR last_used_at < :at)",
                              {{"at", use.at}, {"id", use.key_id}}));
    }
    return LoginThrottle::sweep(transaction, now);
  }));
  return reload_everything();
}

}  // namespace berth::identity
