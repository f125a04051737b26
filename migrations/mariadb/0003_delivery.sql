-- A task's first start, from which its run's time counts.
ALTER TABLE task ADD COLUMN started BIGINT NULL;
ALTER TABLE history ADD COLUMN started BIGINT NULL;
-- Of the template, as they were when the task was created: JSON, NULL is the defaults.
ALTER TABLE snapshot ADD COLUMN options MEDIUMTEXT NULL;
-- Tasks that run at once on the cluster; NULL is no limit.
ALTER TABLE cluster ADD COLUMN concurrency INT NULL;

-- `kind`: 0 an agent with a stream, 1 one of the first version, whose lease ends by `deadline` and not by silence.
-- Who is connected stands in `agent`, so a lease is written once and not with each heartbeat.
-- `wish`: what somebody asked of the holder: 0 nothing, 1 to pause, 2 to cancel. It is read where the lease ends.
ALTER TABLE lease
  ADD COLUMN kind SMALLINT NOT NULL DEFAULT 0,
  ADD COLUMN deadline BIGINT NULL,
  ADD COLUMN wish SMALLINT NOT NULL DEFAULT 0,
  DROP COLUMN seen;

-- Until when the first start may happen; NULL once it has.
ALTER TABLE ready ADD COLUMN valid_until BIGINT NULL, ADD KEY ready_valid (valid_until);

-- What becomes ready at a time: scheduled tasks, and lost ones after their backoff.
CREATE TABLE later (
  due BIGINT NOT NULL,
  cluster BIGINT NOT NULL,
  id BINARY(16) NOT NULL,
  `rank` BIGINT NOT NULL,
  need BINARY(16) NOT NULL,
  valid_until BIGINT NULL,
  PRIMARY KEY (due, cluster, id),
  UNIQUE KEY later_task (id, cluster)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- One row an agent: where it is connected, and for how long of the servers' healthy time it has been silent.
CREATE TABLE agent (
  cluster BIGINT NOT NULL,
  journal BINARY(16) NOT NULL,
  session CHAR(32) CHARACTER SET ascii NOT NULL,
  replica BINARY(16) NOT NULL,
  attached BIGINT NOT NULL,
  detached BIGINT NULL,
  silent_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (cluster, journal)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- One row a server process: `seen` is its heartbeat, in the database's time.
CREATE TABLE replica (
  id BINARY(16) NOT NULL PRIMARY KEY,
  address VARCHAR(255) NOT NULL,
  started BIGINT NOT NULL,
  seen BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Concurrency limits: a row to lock while a limit is looked at, and who counts.
CREATE TABLE gate (
  name VARCHAR(100) CHARACTER SET ascii NOT NULL PRIMARY KEY
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE slot (
  gate VARCHAR(100) CHARACTER SET ascii NOT NULL,
  lease_id BINARY(16) NOT NULL,
  PRIMARY KEY (gate, lease_id),
  KEY slot_lease (lease_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Answers that a repeated request gets again.
CREATE TABLE idempotency (
  caller VARCHAR(64) CHARACTER SET ascii NOT NULL,
  digest BINARY(32) NOT NULL,
  request BINARY(32) NOT NULL,
  id BINARY(16) NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (caller, digest),
  KEY idempotency_created (created)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Who did what.
CREATE TABLE audit (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  at BIGINT NOT NULL,
  caller VARCHAR(255) NOT NULL,
  action VARCHAR(64) CHARACTER SET ascii NOT NULL,
  subject VARCHAR(255) NOT NULL,
  request_id VARCHAR(64) NOT NULL,
  detail TEXT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- What the commands of a task said.
CREATE TABLE log (
  task BINARY(16) NOT NULL,
  cluster BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  path VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  level VARCHAR(8) CHARACTER SET ascii NOT NULL,
  message TEXT NOT NULL,
  fields TEXT NULL,
  PRIMARY KEY (task, cluster, seq),
  KEY log_at (at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
