-- A task's first start, from which its run's time counts.
ALTER TABLE task ADD COLUMN started BIGINT NULL;
ALTER TABLE history ADD COLUMN started BIGINT NULL;
-- Of the template, as they were when the task was created: JSON, NULL is the defaults.
ALTER TABLE snapshot ADD COLUMN options TEXT NULL;
-- Tasks that run at once on the cluster; NULL is no limit.
ALTER TABLE cluster ADD COLUMN concurrency INT NULL;

-- `kind`: 0 an agent with a stream, 1 one of the first version, whose lease ends by `deadline` and not by silence.
-- Who is connected stands in `agent`, so a lease is written once and not with each heartbeat.
ALTER TABLE lease ADD COLUMN kind SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE lease ADD COLUMN deadline BIGINT NULL;
-- What somebody asked of the holder: 0 nothing, 1 to pause, 2 to cancel. It is read where the lease ends.
ALTER TABLE lease ADD COLUMN wish SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE lease DROP COLUMN seen;

-- Until when the first start may happen; NULL once it has.
ALTER TABLE ready ADD COLUMN valid_until BIGINT NULL;
CREATE INDEX ready_valid ON ready (valid_until);

-- What becomes ready at a time: scheduled tasks, and lost ones after their backoff.
CREATE TABLE later (
  due BIGINT NOT NULL,
  cluster BIGINT NOT NULL,
  id BLOB NOT NULL,
  `rank` BIGINT NOT NULL,
  need BLOB NOT NULL,
  valid_until BIGINT NULL,
  PRIMARY KEY (due, cluster, id),
  UNIQUE (id, cluster)
);

-- One row an agent: where it is connected, and for how long of the servers' healthy time it has been silent.
CREATE TABLE agent (
  cluster BIGINT NOT NULL,
  journal BLOB NOT NULL,
  session TEXT NOT NULL,
  replica BLOB NOT NULL,
  attached BIGINT NOT NULL,
  detached BIGINT NULL,
  silent_us BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (cluster, journal)
);

-- One row a server process: `seen` is its heartbeat, in the database's time.
CREATE TABLE replica (
  id BLOB NOT NULL PRIMARY KEY,
  address TEXT NOT NULL,
  started BIGINT NOT NULL,
  seen BIGINT NOT NULL
);

-- Concurrency limits: a row to lock while a limit is looked at, and who counts.
CREATE TABLE gate (
  name TEXT NOT NULL PRIMARY KEY
);
CREATE TABLE slot (
  gate TEXT NOT NULL,
  lease_id BLOB NOT NULL,
  PRIMARY KEY (gate, lease_id)
);

-- Answers that a repeated request gets again.
CREATE TABLE idempotency (
  caller TEXT NOT NULL,
  digest BLOB NOT NULL,
  request BLOB NOT NULL,
  id BLOB NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (caller, digest)
);

-- Who did what.
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at BIGINT NOT NULL,
  caller TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  request_id TEXT NOT NULL,
  detail TEXT NULL
);

-- What the commands of a task said.
CREATE TABLE log (
  task BLOB NOT NULL,
  cluster BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  at BIGINT NOT NULL,
  path TEXT NOT NULL,
  level TEXT NOT NULL,
  message TEXT NOT NULL,
  fields TEXT NULL,
  PRIMARY KEY (task, cluster, seq)
);
CREATE INDEX slot_lease ON slot (lease_id);
CREATE INDEX idempotency_created ON idempotency (created);
CREATE INDEX log_at ON log (at);
