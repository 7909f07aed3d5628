-- Who may do what with whose container, and until when.

CREATE TABLE rentals (
  id {{id}},
  created_at {{bigint}} NOT NULL
) {{strict}};
