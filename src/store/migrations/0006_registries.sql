-- Who we are to registries of images. `registry` is the host as references name it: "docker.io",
-- "registry.example.com:5000".

CREATE TABLE registries (
  id {{id}},
  registry {{text}} NOT NULL UNIQUE,
  username {{text}} NOT NULL,
  sealed_password {{text}} NOT NULL,
  created_at {{bigint}} NOT NULL,
  updated_at {{bigint}} NOT NULL
) {{strict}};
