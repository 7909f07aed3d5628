-- The servers that run containers, and what each container is to be like. `fenced_at` is set from when it was made
-- certain that nothing runs on a server that does not answer, until it answers and nothing of others runs there.

CREATE TABLE servers (
  id {{id}},
  name {{text}} NOT NULL UNIQUE,
  url {{text}} NOT NULL,
  ca_certificate {{text}} NOT NULL DEFAULT '',
  certificate {{text}} NOT NULL DEFAULT '',
  sealed_key {{text}} NOT NULL DEFAULT '',
  host_key {{text}} NOT NULL DEFAULT '',
  labels {{text}} NOT NULL DEFAULT '{}',
  placement {{text}} NOT NULL,
  fence {{text}} NOT NULL,
  fence_command {{text}} NOT NULL DEFAULT '',
  fenced_at {{bigint}},
  fenced_by {{text}} NOT NULL DEFAULT '',
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL
) {{strict}};

-- `engine_name` and `engine_id` are what the container is called on its server; `desired` is what it is to be
-- like (JSON), `pending` a change of several steps that is under way or was left half done, `archive` the folder of
-- its newest archive. `epoch` grows whenever another server becomes the one that runs it.
CREATE TABLE containers (
  id {{id}},
  name {{text}} NOT NULL UNIQUE,
  server_id {{bigint}} REFERENCES servers (id),
  engine_name {{text}} NOT NULL,
  engine_id {{text}} NOT NULL DEFAULT '',
  owner_id {{bigint}} REFERENCES users (id) ON DELETE SET NULL,
  presence {{text}} NOT NULL,
  desired {{text}} NOT NULL,
  epoch {{bigint}} NOT NULL DEFAULT 0,
  pending {{text}} NOT NULL DEFAULT '',
  archive {{text}} NOT NULL DEFAULT '',
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL
) {{strict}};
CREATE INDEX containers_by_server ON containers (server_id);
CREATE INDEX containers_by_owner ON containers (owner_id);

-- Every name that is taken: a container's own, and the one that it is just getting.
CREATE TABLE container_names (
  name {{text}} PRIMARY KEY NOT NULL,
  container_id {{bigint}} NOT NULL REFERENCES containers (id) ON DELETE CASCADE
) {{strict}};
CREATE INDEX container_names_by_container ON container_names (container_id);

-- What lies on a server of containers that live elsewhere now. It is stopped as soon as the server answers, and never
-- adopted; if it is disposable, because all of it was moved, it goes, with these volumes (JSON). No reference to the
-- container: that may be deleted before the server answers.
CREATE TABLE container_remains (
  id {{id}},
  server_id {{bigint}} NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
  container_id {{bigint}} NOT NULL,
  engine_name {{text}} NOT NULL,
  engine_id {{text}} NOT NULL DEFAULT '',
  volumes {{text}} NOT NULL DEFAULT '[]',
  disposable {{bigint}} NOT NULL,
  created_at {{bigint}} NOT NULL
) {{strict}};
CREATE INDEX container_remains_by_server ON container_remains (server_id);
