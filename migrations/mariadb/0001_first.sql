-- Times are microseconds since 1970 (UTC), bound by the server; only `template`, which people fill by SQL, holds DATETIME.
CREATE TABLE cluster (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
  name VARCHAR(255) NOT NULL,
  summary TEXT NULL,
  labels LONGTEXT NULL,
  paused BOOLEAN NOT NULL DEFAULT FALSE,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE cluster_token (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
  name VARCHAR(255) NOT NULL,
  summary TEXT NULL,
  cluster_uuid CHAR(32) CHARACTER SET ascii NOT NULL,
  token VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  KEY cluster_token_cluster (cluster_uuid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE session (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
  cluster_uuid CHAR(32) CHARACTER SET ascii NOT NULL,
  token_uuid CHAR(32) CHARACTER SET ascii NOT NULL,
  agent_version VARCHAR(64) NOT NULL,
  issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NULL,
  KEY session_cluster (cluster_uuid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE template (
  uuid CHAR(32) CHARACTER SET ascii NOT NULL PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  summary TEXT NULL,
  flow MEDIUMTEXT NOT NULL,
  inputs MEDIUMTEXT NULL,
  origin VARCHAR(255) NOT NULL DEFAULT 'userdefined',
  created DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated DATETIME NULL,
  options MEDIUMTEXT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE global_variable (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
  name VARCHAR(255) NOT NULL UNIQUE,
  summary TEXT NULL,
  value TEXT NOT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- What a task runs, whatever becomes of its template; shared by the tasks of one version.
CREATE TABLE snapshot (
  id BINARY(16) NOT NULL PRIMARY KEY,
  template_uuid CHAR(32) CHARACTER SET ascii NOT NULL,
  flow MEDIUMTEXT NOT NULL,
  step_max INT NOT NULL,
  language_level INT NOT NULL,
  commands MEDIUMTEXT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Tasks that are not final. Finishing moves a row to `history`.
CREATE TABLE task (
  id BINARY(16) NOT NULL,
  cluster BIGINT NOT NULL,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL,
  snapshot BINARY(16) NOT NULL,
  name VARCHAR(255) NOT NULL,
  summary TEXT NULL,
  inputs MEDIUMTEXT NOT NULL,
  channel CHAR(32) CHARACTER SET ascii NULL,
  priority INT NOT NULL DEFAULT 0,
  state SMALLINT NOT NULL,
  epoch BIGINT NOT NULL DEFAULT 0,
  attempt INT NOT NULL DEFAULT 1,
  cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
  valid_until BIGINT NULL,
  run_timeout_ms BIGINT NOT NULL DEFAULT 3600000,
  labels TEXT NULL,
  created_by VARCHAR(255) NULL,
  parent BINARY(16) NULL,
  traceparent VARCHAR(64) NULL,
  concurrency_key VARCHAR(255) NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (id, cluster),
  KEY task_cluster (cluster, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The right to run one task; the lease id is the fence.
CREATE TABLE lease (
  lease_id BINARY(16) NOT NULL PRIMARY KEY,
  task BINARY(16) NOT NULL,
  cluster BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  journal BINARY(16) NOT NULL,
  created BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  UNIQUE KEY lease_task (task, cluster),
  KEY lease_journal (journal)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- `rank` ascends with falling priority: a descending order over an ascending key would sort and lock the whole cluster.
CREATE TABLE ready (
  cluster BIGINT NOT NULL,
  `rank` BIGINT NOT NULL,
  id BINARY(16) NOT NULL,
  need BINARY(16) NOT NULL,
  PRIMARY KEY (cluster, `rank`, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Finished steps of live tasks, and starts of steps with an effect.
CREATE TABLE step (
  task BINARY(16) NOT NULL,
  cluster BIGINT NOT NULL,
  path VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  try INT NOT NULL,
  top INT NOT NULL,
  state SMALLINT NOT NULL,
  effect SMALLINT NOT NULL,
  plugin_digest BINARY(32) NULL,
  started BIGINT NOT NULL,
  ended BIGINT NULL,
  output MEDIUMTEXT NULL,
  PRIMARY KEY (task, cluster, path, try)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Final tasks, partitioned by their end: dropping a partition never takes a waiting task.
CREATE TABLE history (
  id BINARY(16) NOT NULL,
  cluster BIGINT NOT NULL,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL,
  snapshot BINARY(16) NOT NULL,
  name VARCHAR(255) NOT NULL,
  summary TEXT NULL,
  inputs MEDIUMTEXT NOT NULL,
  channel CHAR(32) CHARACTER SET ascii NULL,
  priority INT NOT NULL,
  state SMALLINT NOT NULL,
  attempt INT NOT NULL,
  labels TEXT NULL,
  created_by VARCHAR(255) NULL,
  created BIGINT NOT NULL,
  ended BIGINT NOT NULL,
  timeline MEDIUMTEXT NOT NULL,
  result MEDIUMTEXT NULL,
  error TEXT NULL,
  PRIMARY KEY (id, cluster, ended),
  KEY history_cluster (cluster, id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
PARTITION BY RANGE COLUMNS (ended) (PARTITION p_last VALUES LESS THAN (MAXVALUE));

-- Only uuids that callers chose: (cluster, uuid) to the server's id.
CREATE TABLE alias (
  cluster BIGINT NOT NULL,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL,
  id BINARY(16) NOT NULL,
  request BINARY(32) NOT NULL,
  PRIMARY KEY (cluster, uuid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE leader (
  name VARCHAR(64) NOT NULL PRIMARY KEY,
  holder BINARY(16) NOT NULL,
  epoch BIGINT NOT NULL,
  until BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
