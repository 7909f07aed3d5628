-- Alerts and their episodes, the history of counters and gauges, and what was sent to whom.

CREATE TABLE alert_rules (
  id {{id}},
  type {{text}} NOT NULL,
  threshold {{real}} NOT NULL,
  message {{text}} NOT NULL,
  subject {{text}},
  duration {{bigint}} NOT NULL DEFAULT 0,
  hysteresis {{real}} NOT NULL,
  severity {{text}} NOT NULL,
  enabled {{bigint}} NOT NULL DEFAULT 1,
  silenced_until {{bigint}},
  recipients {{text}} NOT NULL DEFAULT '[]',
  created_by {{bigint}} NOT NULL DEFAULT 0,
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL
) {{strict}};

-- One row for each time that something was wrong. An episode says all that its rule said then, for rules change and
-- go while episodes stay.
CREATE TABLE alert_episodes (
  id {{id}},
  rule_id {{bigint}} NOT NULL,
  type {{text}} NOT NULL,
  subject_kind {{text}} NOT NULL,
  subject {{text}} NOT NULL,
  severity {{text}} NOT NULL,
  message {{text}} NOT NULL,
  threshold {{real}} NOT NULL,
  value {{real}} NOT NULL,
  peak {{real}} NOT NULL,
  raised_at {{bigint}} NOT NULL,
  notified_at {{bigint}},
  resolved_at {{bigint}},
  resolution {{text}}
) {{strict}};
CREATE UNIQUE INDEX alert_episodes_open ON alert_episodes (rule_id, subject_kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX alert_episodes_by_time ON alert_episodes (raised_at);
CREATE INDEX alert_episodes_by_rule ON alert_episodes (rule_id, raised_at);
CREATE INDEX alert_episodes_by_subject ON alert_episodes (subject, raised_at);
CREATE INDEX alert_episodes_by_type ON alert_episodes (type, raised_at);

-- A measured thing over time: "traffic.in" of "container:12".
CREATE TABLE series (
  id {{id}},
  metric {{text}} NOT NULL,
  subject {{text}} NOT NULL,
  kind {{text}} NOT NULL,
  UNIQUE (metric, subject)
) {{strict}};

-- What fell into each stretch of `resolution` seconds that begins at `at`.
CREATE TABLE series_points (
  series_id {{bigint}} NOT NULL REFERENCES series (id) ON DELETE CASCADE,
  resolution {{bigint}} NOT NULL,
  at {{bigint}} NOT NULL,
  total {{real}} NOT NULL,
  samples {{bigint}} NOT NULL,
  peak {{real}} NOT NULL,
  PRIMARY KEY (series_id, resolution, at)
) {{strict}};

-- The counters of traffic as they were last read (raw_*) and what they have come to over all restarts (total_*).
-- Subject 0 is everything together and has no raw counters.
CREATE TABLE traffic_counters (
  subject {{bigint}} PRIMARY KEY NOT NULL,
  incarnation {{bigint}} NOT NULL,
  raw_in {{bigint}} NOT NULL,
  raw_out {{bigint}} NOT NULL,
  total_in {{bigint}} NOT NULL,
  total_out {{bigint}} NOT NULL,
  measured_at {{bigint}} NOT NULL
) {{strict}};

CREATE TABLE webhooks (
  id {{id}},
  uuid {{text}} NOT NULL UNIQUE,
  name {{text}} NOT NULL UNIQUE,
  url {{text}} NOT NULL,
  secret {{text}} NOT NULL,
  notices {{text}} NOT NULL DEFAULT '[]',
  language {{text}} NOT NULL,
  created_at {{bigint}} NOT NULL
) {{strict}};

-- Each is there before it is sent. claimed_until: somebody is sending it until then; if it is still set later, that
-- somebody died, and nobody knows whether it arrived.
CREATE TABLE deliveries (
  id {{id}},
  uuid {{text}} NOT NULL UNIQUE,
  dedup_key {{text}} NOT NULL UNIQUE,
  channel {{text}} NOT NULL,
  recipient {{text}} NOT NULL,
  webhook_id {{bigint}},
  notice {{text}} NOT NULL,
  subject {{text}} NOT NULL,
  body {{text}} NOT NULL,
  state {{text}} NOT NULL,
  attempts {{bigint}} NOT NULL DEFAULT 0,
  next_attempt_at {{bigint}} NOT NULL,
  claimed_until {{bigint}},
  perhaps_twice {{bigint}} NOT NULL DEFAULT 0,
  last_error {{text}} NOT NULL DEFAULT '',
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL,
  sent_at {{bigint}}
) {{strict}};
CREATE INDEX deliveries_open ON deliveries (next_attempt_at) WHERE state IN ('pending', 'failed');
CREATE INDEX deliveries_by_state ON deliveries (state, id);
CREATE INDEX deliveries_by_notice ON deliveries (notice, id);
CREATE INDEX deliveries_by_channel ON deliveries (channel, id);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id) WHERE webhook_id IS NOT NULL;
CREATE INDEX deliveries_by_update ON deliveries (updated_at);
