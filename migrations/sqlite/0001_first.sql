-- Times are microseconds since 1970 (UTC), bound by the server; only `template`, which people fill by SQL, holds DATETIME.
CREATE TABLE cluster (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  summary TEXT NULL,
  labels TEXT NULL,
  paused BOOLEAN NOT NULL DEFAULT FALSE,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NULL
);

CREATE TABLE cluster_token (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  summary TEXT NULL,
  cluster_uuid TEXT NOT NULL,
  token TEXT NOT NULL,
  issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL
);

CREATE TABLE session (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  cluster_uuid TEXT NOT NULL,
  token_uuid TEXT NOT NULL,
  agent_version TEXT NOT NULL,
  issued_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NULL
);

CREATE TABLE template (
  uuid TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  summary TEXT NULL,
  flow TEXT NOT NULL,
  inputs TEXT NULL,
  origin TEXT NOT NULL DEFAULT 'userdefined',
  created DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated DATETIME NULL,
  options TEXT NULL
);

CREATE TABLE global_variable (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  summary TEXT NULL,
  value TEXT NOT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL
);

-- What a task runs, whatever becomes of its template; shared by the tasks of one version.
CREATE TABLE snapshot (
  id BLOB NOT NULL PRIMARY KEY,
  template_uuid TEXT NOT NULL,
  flow TEXT NOT NULL,
  step_max INT NOT NULL,
  language_level INT NOT NULL,
  commands TEXT NOT NULL
);

-- Tasks that are not final. Finishing moves a row to `history`.
CREATE TABLE task (
  id BLOB NOT NULL,
  cluster BIGINT NOT NULL,
  uuid TEXT NOT NULL,
  snapshot BLOB NOT NULL,
  name TEXT NOT NULL,
  summary TEXT NULL,
  inputs TEXT NOT NULL,
  channel TEXT NULL,
  priority INT NOT NULL DEFAULT 0,
  state SMALLINT NOT NULL,
  epoch BIGINT NOT NULL DEFAULT 0,
  attempt INT NOT NULL DEFAULT 1,
  cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
  valid_until BIGINT NULL,
  run_timeout_ms BIGINT NOT NULL DEFAULT 3600000,
  labels TEXT NULL,
  created_by TEXT NULL,
  parent BLOB NULL,
  traceparent TEXT NULL,
  concurrency_key TEXT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (id, cluster)
);

-- The right to run one task; the lease id is the fence.
CREATE TABLE lease (
  lease_id BLOB NOT NULL PRIMARY KEY,
  task BLOB NOT NULL,
  cluster BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  journal BLOB NOT NULL,
  created BIGINT NOT NULL,
  seen BIGINT NOT NULL,
  UNIQUE (task, cluster)
);

-- `rank` ascends with falling priority: a descending order over an ascending key would sort and lock the whole cluster.
CREATE TABLE ready (
  cluster BIGINT NOT NULL,
  `rank` BIGINT NOT NULL,
  id BLOB NOT NULL,
  need BLOB NOT NULL,
  PRIMARY KEY (cluster, `rank`, id)
);

-- Finished steps of live tasks, and starts of steps with an effect.
CREATE TABLE step (
  task BLOB NOT NULL,
  cluster BIGINT NOT NULL,
  path TEXT NOT NULL,
  try INT NOT NULL,
  top INT NOT NULL,
  state SMALLINT NOT NULL,
  effect SMALLINT NOT NULL,
  plugin_digest BLOB NULL,
  started BIGINT NOT NULL,
  ended BIGINT NULL,
  output TEXT NULL,
  PRIMARY KEY (task, cluster, path, try)
);

-- Final tasks.
CREATE TABLE history (
  id BLOB NOT NULL,
  cluster BIGINT NOT NULL,
  uuid TEXT NOT NULL,
  snapshot BLOB NOT NULL,
  name TEXT NOT NULL,
  summary TEXT NULL,
  inputs TEXT NOT NULL,
  channel TEXT NULL,
  priority INT NOT NULL,
  state SMALLINT NOT NULL,
  attempt INT NOT NULL,
  labels TEXT NULL,
  created_by TEXT NULL,
  created BIGINT NOT NULL,
  ended BIGINT NOT NULL,
  timeline TEXT NOT NULL,
  result TEXT NULL,
  error TEXT NULL,
  PRIMARY KEY (id, cluster, ended)
);

-- Only uuids that callers chose: (cluster, uuid) to the server's id.
CREATE TABLE alias (
  cluster BIGINT NOT NULL,
  uuid TEXT NOT NULL,
  id BLOB NOT NULL,
  request BLOB NOT NULL,
  PRIMARY KEY (cluster, uuid)
);

CREATE TABLE leader (
  name TEXT NOT NULL PRIMARY KEY,
  holder BLOB NOT NULL,
  epoch BIGINT NOT NULL,
  until BIGINT NOT NULL
);

CREATE INDEX cluster_token_cluster ON cluster_token (cluster_uuid);
CREATE INDEX session_cluster ON session (cluster_uuid);
CREATE INDEX task_cluster ON task (cluster, id);
CREATE INDEX lease_journal ON lease (journal);
CREATE INDEX history_cluster ON history (cluster, id);
