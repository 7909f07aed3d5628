-- Alerts, their episodes, and what was sent about them.

CREATE TABLE alerts (
  id {{id}},
  type {{text}} NOT NULL,
  created_at {{bigint}} NOT NULL
) {{strict}};
