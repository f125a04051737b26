-- What an agent said last of what it serves, as JSON. Written when a stream begins and when it changes, only if it differs.
CREATE TABLE inventory (
  cluster BIGINT NOT NULL,
  journal BLOB NOT NULL,
  name TEXT NOT NULL,
  version TEXT NOT NULL,
  at BIGINT NOT NULL,
  digest BLOB NOT NULL,
  plugins TEXT NOT NULL,
  commands TEXT NOT NULL,
  PRIMARY KEY (cluster, journal)
);
