-- Where statuses of tasks are sent to. `headers` and `secrets` are JSON; `timeout` is a Go duration, `0s` is the usual one.
CREATE TABLE webhook (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
  name VARCHAR(255) NOT NULL,
  summary TEXT NULL,
  url TEXT NOT NULL,
  method VARCHAR(32) CHARACTER SET ascii NOT NULL,
  headers MEDIUMTEXT NULL,
  timeout VARCHAR(64) CHARACTER SET ascii NOT NULL,
  condition_validator VARCHAR(32) NULL,
  condition_filter TEXT NULL,
  secrets TEXT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The outbox: one row for each status of a task that has a webhook, written in the transaction that changes the status; and the log
-- of what became of it. `state`: 0 waiting, 1 delivered, 2 dead, 3 its filter said no. `due`, `held_until` and the other times are the
-- database's. `cluster` 0 and a `body`: not of a task, but published.
CREATE TABLE webhook_delivery (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  webhook CHAR(32) CHARACTER SET ascii NOT NULL,
  task BINARY(16) NOT NULL,
  cluster BIGINT NOT NULL,
  service_uuid CHAR(32) CHARACTER SET ascii NULL,
  seq INT NOT NULL,
  status SMALLINT NOT NULL,
  step INT NOT NULL,
  step_status SMALLINT NOT NULL,
  step_started BIGINT NULL,
  step_ended BIGINT NULL,
  journal BINARY(16) NULL,
  body MEDIUMTEXT NULL,
  state SMALLINT NOT NULL DEFAULT 0,
  attempts INT NOT NULL DEFAULT 0,
  due BIGINT NOT NULL,
  first_failed BIGINT NULL,
  holder BINARY(16) NULL,
  held_until BIGINT NULL,
  code SMALLINT NULL,
  error TEXT NULL,
  created BIGINT NOT NULL,
  tried BIGINT NULL,
  ended BIGINT NULL,
  UNIQUE KEY webhook_delivery_task (task, cluster, seq),
  KEY webhook_delivery_due (webhook, state, due),
  KEY webhook_delivery_ended (state, ended),
  KEY webhook_delivery_service (service_uuid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
