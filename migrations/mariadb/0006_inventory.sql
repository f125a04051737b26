-- What an agent said last of what it serves, as JSON. Written when a stream begins and when it changes, only if it differs.
CREATE TABLE inventory (
  cluster BIGINT NOT NULL,
  journal BINARY(16) NOT NULL,
  name VARCHAR(255) NOT NULL,
  version VARCHAR(64) NOT NULL,
  at BIGINT NOT NULL,
  digest BINARY(32) NOT NULL,
  plugins MEDIUMTEXT NOT NULL,
  commands MEDIUMTEXT NOT NULL,
  PRIMARY KEY (cluster, journal)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
