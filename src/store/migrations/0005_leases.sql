-- What is known of the agent of a server whose fence is one. `token_hash` tells its token again. `bond` says what may
-- be counted on: 'none', 'timed' (it stops everything within `certain_after` milliseconds of its last lease) or
-- 'standing' (it lets everything run until it hears from us again).
CREATE TABLE server_leases (
  server_id {{bigint}} PRIMARY KEY NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
  token_hash {{text}} NOT NULL,
  bond {{text}} NOT NULL DEFAULT 'none',
  certain_after {{bigint}} NOT NULL DEFAULT 0,
  updated_at {{bigint}} NOT NULL
) {{strict}};
