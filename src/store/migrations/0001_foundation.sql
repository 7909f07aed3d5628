-- Users, sessions, keys, the audit log, operations and settings.
-- Times are microseconds since the epoch, booleans are 0 and 1.

CREATE TABLE users (
  id {{id}},
  uuid {{text}} NOT NULL UNIQUE,
  username {{text}} NOT NULL,
  username_key {{text}} NOT NULL UNIQUE,
  email {{text}} NOT NULL DEFAULT '',
  email_key {{text}} UNIQUE,
  password_hash {{text}} NOT NULL,
  role {{text}} NOT NULL,
  enabled {{bigint}} NOT NULL DEFAULT 1,
  totp_secret {{text}},
  totp_enabled {{bigint}} NOT NULL DEFAULT 0,
  totp_last_step {{bigint}} NOT NULL DEFAULT 0,
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL,
  last_login_at {{bigint}}
) {{strict}};

CREATE TABLE sessions (
  id {{text}} PRIMARY KEY NOT NULL,
  user_id {{bigint}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at {{bigint}} NOT NULL,
  expires_at {{bigint}} NOT NULL,
  revoked_at {{bigint}},
  address {{text}} NOT NULL DEFAULT '',
  contract {{text}} NOT NULL DEFAULT ''
) {{strict}};
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
  hash {{text}} PRIMARY KEY NOT NULL,
  session_id {{text}} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  created_at {{bigint}} NOT NULL,
  expires_at {{bigint}} NOT NULL,
  used_at {{bigint}}
) {{strict}};
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

CREATE TABLE revoked_tokens (
  jti {{text}} PRIMARY KEY NOT NULL,
  expires_at {{bigint}} NOT NULL
) {{strict}};
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

CREATE TABLE api_keys (
  id {{text}} PRIMARY KEY NOT NULL,
  user_id {{bigint}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name {{text}} NOT NULL,
  hash {{text}} NOT NULL UNIQUE,
  prefix {{text}} NOT NULL,
  scope {{text}} NOT NULL,
  created_at {{bigint}} NOT NULL,
  expires_at {{bigint}},
  last_used_at {{bigint}},
  UNIQUE (user_id, name)
) {{strict}};

CREATE TABLE login_throttle (
  subject {{text}} PRIMARY KEY NOT NULL,
  failures {{bigint}} NOT NULL,
  last_failure_at {{bigint}} NOT NULL,
  blocked_until {{bigint}} NOT NULL DEFAULT 0
) {{strict}};
CREATE INDEX login_throttle_by_failure ON login_throttle (last_failure_at);

CREATE TABLE audit_log (
  sequence {{bigint}} PRIMARY KEY NOT NULL,
  id {{text}} NOT NULL UNIQUE,
  at {{bigint}} NOT NULL,
  user_id {{bigint}} NOT NULL,
  actor {{text}} NOT NULL,
  address {{text}} NOT NULL,
  contract {{text}} NOT NULL,
  request_id {{text}} NOT NULL,
  action {{text}} NOT NULL,
  resource_type {{text}} NOT NULL,
  resource_id {{text}} NOT NULL,
  outcome {{text}} NOT NULL,
  details {{text}} NOT NULL,
  hash {{text}} NOT NULL
) {{strict}};
CREATE INDEX audit_log_by_time ON audit_log (at);
CREATE INDEX audit_log_by_user ON audit_log (user_id, sequence);
CREATE INDEX audit_log_by_action ON audit_log (action, sequence);
CREATE INDEX audit_log_by_resource ON audit_log (resource_type, resource_id, sequence);
CREATE INDEX audit_log_by_resource_id ON audit_log (resource_id, sequence);

-- Where the chain of the audit log ends. `hash` is the newest entry's; `seal` vouches for the row itself, so
-- that the log cannot be cut off and the head set back to an older entry.
CREATE TABLE audit_head (
  id {{bigint}} PRIMARY KEY NOT NULL CHECK (id = 1),
  sequence {{bigint}} NOT NULL,
  hash {{text}} NOT NULL,
  seal {{text}} NOT NULL
) {{strict}};
INSERT INTO audit_head (id, sequence, hash, seal) VALUES (1, 0, '', '');

CREATE TABLE operations (
  id {{text}} PRIMARY KEY NOT NULL,
  kind {{text}} NOT NULL,
  engine {{text}} NOT NULL,
  resource_type {{text}} NOT NULL,
  resource_id {{text}} NOT NULL,
  state {{text}} NOT NULL,
  progress {{bigint}} NOT NULL DEFAULT 0,
  stage {{text}} NOT NULL DEFAULT '',
  may_cancel {{bigint}} NOT NULL DEFAULT 0,
  cancel_requested {{bigint}} NOT NULL DEFAULT 0,
  input {{text}} NOT NULL DEFAULT '{}',
  handle {{text}} NOT NULL DEFAULT '',
  result {{text}} NOT NULL DEFAULT 'null',
  failure_code {{text}},
  failure_reason {{text}},
  failure_zh {{text}},
  failure_en {{text}},
  user_id {{bigint}} NOT NULL DEFAULT 0,
  actor {{text}} NOT NULL DEFAULT '',
  address {{text}} NOT NULL DEFAULT '',
  contract {{text}} NOT NULL DEFAULT '',
  request_id {{text}} NOT NULL DEFAULT '',
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL,
  deadline_at {{bigint}} NOT NULL,
  finished_at {{bigint}},
  node {{text}} NOT NULL DEFAULT ''
) {{strict}};
CREATE UNIQUE INDEX operations_running ON operations (engine, resource_type, resource_id)
  WHERE state = 'running';
CREATE INDEX operations_by_creation ON operations (created_at);
CREATE INDEX operations_by_state ON operations (state, created_at);
CREATE INDEX operations_by_resource ON operations (resource_type, resource_id, created_at);
CREATE INDEX operations_by_user ON operations (user_id, created_at);

CREATE TABLE settings (
  key {{text}} PRIMARY KEY NOT NULL,
  value {{text}} NOT NULL,
  updated_at {{bigint}} NOT NULL
) {{strict}};
