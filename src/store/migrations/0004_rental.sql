-- Who may do what with whose container, and until when.
-- container_id 0 of a grant or a log entry means every container. Rights are bits: 1 read, 2 write, 4 execute.
-- Dates are "YYYY-MM-DD"; expires_at is the end of that day in the configured time zone.

CREATE TABLE acl_grants (
  id {{id}},
  user_id {{bigint}} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  container_id {{bigint}} NOT NULL DEFAULT 0,
  rights {{bigint}} NOT NULL,
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL,
  UNIQUE (user_id, container_id)
) {{strict}};
CREATE INDEX acl_grants_by_container ON acl_grants (container_id);

CREATE TABLE acl_log (
  id {{id}},
  user_id {{bigint}} NOT NULL,
  container_id {{bigint}} NOT NULL DEFAULT 0,
  container_name {{text}} NOT NULL DEFAULT '',
  action {{text}} NOT NULL,
  at {{bigint}} NOT NULL,
  actor {{text}} NOT NULL,
  rights_before {{bigint}} NOT NULL DEFAULT 0,
  rights_after {{bigint}} NOT NULL DEFAULT 0
) {{strict}};
CREATE INDEX acl_log_by_user ON acl_log (user_id, id);

-- `state` is what was last brought about with the container, `step` what was begun since and not seen to end.
-- `due_at` is when the expiry engine looks at the rental next; NULL if only a renewal can change anything.
CREATE TABLE rentals (
  id {{id}},
  user_id {{bigint}} NOT NULL,
  container_id {{bigint}} NOT NULL UNIQUE,
  container_name {{text}} NOT NULL,
  expiry_date {{text}} NOT NULL,
  expires_at {{bigint}} NOT NULL,
  state {{text}} NOT NULL,
  step {{text}} NOT NULL DEFAULT '',
  stopped_at {{bigint}},
  due_at {{bigint}},
  failures {{bigint}} NOT NULL DEFAULT 0,
  problem_reason {{text}} NOT NULL DEFAULT '',
  problem_zh {{text}} NOT NULL DEFAULT '',
  problem_en {{text}} NOT NULL DEFAULT '',
  notified_until {{bigint}} NOT NULL,
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL
) {{strict}};
CREATE INDEX rentals_by_expiry ON rentals (expires_at, id);
CREATE INDEX rentals_by_user ON rentals (user_id, expires_at, id);
CREATE INDEX rentals_by_due ON rentals (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX rentals_by_state ON rentals (state, expires_at);
CREATE INDEX rentals_failing ON rentals (due_at) WHERE failures > 0;
CREATE INDEX rentals_stopped ON rentals (id) WHERE state = 'expired';

-- One row per notice that was handed over, so that none goes out twice.
CREATE TABLE rental_notices (
  rental_id {{bigint}} NOT NULL REFERENCES rentals (id) ON DELETE CASCADE,
  expiry_date {{text}} NOT NULL,
  kind {{text}} NOT NULL,
  sent_at {{bigint}} NOT NULL,
  PRIMARY KEY (rental_id, expiry_date, kind)
) {{strict}};
