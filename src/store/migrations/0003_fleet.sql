-- The servers that run containers, and what each container is to be like.

CREATE TABLE servers (
  id {{id}},
  name {{text}} NOT NULL UNIQUE,
  created_at {{bigint}} NOT NULL
) {{strict}};
