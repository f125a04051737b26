-- Where statuses of tasks are sent to. `headers` and `secrets` are JSON; `timeout` is a Go duration, `0s` is the usual one.
CREATE TABLE webhook (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  summary TEXT NULL,
  url TEXT NOT NULL,
  method TEXT NOT NULL,
  headers TEXT NULL,
  timeout TEXT NOT NULL,
  condition_validator TEXT NULL,
  condition_filter TEXT NULL,
  secrets TEXT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL
);

-- The outbox: one row for each status of a task that has a webhook, written in the transaction that changes the status; and the log
-- of what became of it. `state`: 0 waiting, 1 delivered, 2 dead, 3 its filter said no. `due`, `held_until` and the other times are the
-- database's. `cluster` 0 and a `body`: not of a task, but published.
CREATE TABLE webhook_delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook TEXT NOT NULL,
  task BLOB NOT NULL,
  cluster BIGINT NOT NULL,
  service_uuid TEXT NULL,
  seq INT NOT NULL,
  status SMALLINT NOT NULL,
  step INT NOT NULL,
  step_status SMALLINT NOT NULL,
  step_started BIGINT NULL,
  step_ended BIGINT NULL,
  journal BLOB NULL,
  body TEXT NULL,
  state SMALLINT NOT NULL DEFAULT 0,
  attempts INT NOT NULL DEFAULT 0,
  due BIGINT NOT NULL,
  first_failed BIGINT NULL,
  holder BLOB NULL,
  held_until BIGINT NULL,
  code SMALLINT NULL,
  error TEXT NULL,
  created BIGINT NOT NULL,
  tried BIGINT NULL,
  ended BIGINT NULL,
  UNIQUE (task, cluster, seq)
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook, state, due);
CREATE INDEX webhook_delivery_ended ON webhook_delivery (state, ended);
CREATE INDEX webhook_delivery_service ON webhook_delivery (service_uuid);
