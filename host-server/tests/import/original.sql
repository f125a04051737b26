-- A database of the first version, as far as its REST answers, its query language and its agents show it. Types are inferred.
CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL);
INSERT INTO schema_migrations VALUES (11, FALSE);

CREATE TABLE cluster (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, uuid CHAR(32) NOT NULL, name VARCHAR(255) NOT NULL, summary VARCHAR(255) NULL,
  created DATETIME(6) NOT NULL, updated DATETIME(6) NULL, deleted DATETIME(6) NOT NULL DEFAULT '0001-01-01 00:00:00',
  UNIQUE KEY (uuid, deleted)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO cluster (uuid, name, summary, created, updated, deleted) VALUES
  ('00000000000000000000000000000000', 'test cluster', NULL, '2026-09-01 08:00:00.123456', '2026-09-02 08:00:00', '0001-01-01'),
  ('00000000000000000000000000000001', 'zweiter Cluster: ÄÖÜ 😀', 'EU', '2026-09-01 08:00:01', NULL, '0001-01-01'),
  ('EDGE-01', 'odd uuid', '', '2026-09-01 08:00:02', NULL, '0001-01-01'),
  ('0000000000000000000000000000000d', 'deleted', NULL, '2026-09-01 08:00:03', NULL, '2026-10-01 00:00:00'),
  ('0000000000000000000000000000000e', 'declared once', NULL, '2026-09-01 08:00:04', NULL, '2026-09-03 00:00:00'),
  ('0000000000000000000000000000000e', 'declared again', NULL, '2026-09-04 08:00:04', NULL, '0001-01-01');

CREATE TABLE cluster_client_token (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, uuid CHAR(32) NOT NULL, name VARCHAR(255) NOT NULL, summary VARCHAR(255) NULL,
  cluster_uuid CHAR(32) NOT NULL, token VARCHAR(255) NOT NULL, issued_at_time DATETIME NOT NULL, expiration_time DATETIME NOT NULL,
  created DATETIME(6) NOT NULL, updated DATETIME(6) NULL, deleted DATETIME(6) NOT NULL DEFAULT '0001-01-01 00:00:00'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO cluster_client_token (uuid, name, cluster_uuid, token, issued_at_time, expiration_time, created, deleted) VALUES
  ('10000000000000000000000000000000', 'test token', '00000000000000000000000000000000', 'CLIENT_AUTHENTICATION_TOKEN', '2026-09-01 08:00:00', '2099-09-01 00:00:00', '2026-09-01 08:00:00', '0001-01-01'),
  ('10000000000000000000000000000001', 'over', '00000000000000000000000000000001', 'an-expired-token', '2026-09-01 08:00:00', '2026-09-02 00:00:00', '2026-09-01 08:00:00', '0001-01-01'),
  ('10000000000000000000000000000002', 'gone', '00000000000000000000000000000001', 'a-deleted-token', '2026-09-01 08:00:00', '2099-09-01 00:00:00', '2026-09-01 08:00:00', '2026-09-05 00:00:00');

CREATE TABLE cluster_client_session (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, uuid CHAR(32) NOT NULL, cluster_client_token_uuid CHAR(32) NOT NULL, cluster_uuid CHAR(32) NOT NULL,
  token TEXT NOT NULL, issued_at_time DATETIME NOT NULL, expiration_time DATETIME NOT NULL,
  created DATETIME(6) NOT NULL, updated DATETIME(6) NULL, deleted DATETIME(6) NOT NULL DEFAULT '0001-01-01 00:00:00'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO cluster_client_session (uuid, cluster_client_token_uuid, cluster_uuid, token, issued_at_time, expiration_time, created)
  SELECT LPAD(seq, 32, '7'), '10000000000000000000000000000000', '00000000000000000000000000000000', 'signed', NOW(), NOW(), NOW() FROM seq_1_to_3;

CREATE TABLE template (
  uuid CHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL, summary VARCHAR(255) NULL, flow TEXT NOT NULL, inputs TEXT NULL,
  origin VARCHAR(255) NOT NULL, created DATETIME NOT NULL, updated DATETIME NULL, deleted DATETIME NOT NULL DEFAULT '0001-01-01 00:00:00'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO template (uuid, name, summary, flow, inputs, origin, created, updated, deleted) VALUES
  ('example_simple', 'example_simple', '', '[{"$id":"step1","$command":"helloworld","inputs":"$inputs"}]', '{}', 'userdefined', '2026-09-01 08:00:00', NULL, '0001-01-01'),
  ('two_steps', 'two steps', 'greets twice', '[{"$id":"a","$command":"helloworld","inputs":"$inputs"},{"$id":"b","$command":"helloworld","inputs":{"name":"$a.outputs"}}]', NULL, 'userdefined', '2026-09-01 08:00:00', '2026-09-02 08:00:00', '0001-01-01'),
  ('broken', 'broken', NULL, '[{"$id":', NULL, 'userdefined', '2026-09-01 08:00:00', NULL, '0001-01-01'),
  ('gone', 'gone', NULL, '[]', NULL, 'userdefined', '2026-09-01 08:00:00', NULL, '2026-09-05 00:00:00'),
  ('00000000000000000000000000000001', 'kubernetes_pods_get', 'as it was shipped', '[ {"$id": "step1", "$command": "kubernetes.pods.get.v1", "inputs": "$inputs"} ]', '{}', 'predefined', '2026-09-01 08:00:00', NULL, '0001-01-01'),
  ('00000000000000000000000000000002', 'kubernetes_pods_list', 'changed by somebody', '[{"$id":"step1","$command":"kubernetes.pods.list.v1","inputs":{"namespace":"mine"}}]', '{}', 'predefined', '2026-09-01 08:00:00', NULL, '0001-01-01');
CREATE TABLE template_command (id INT NOT NULL PRIMARY KEY, uuid CHAR(32) NOT NULL) ENGINE=InnoDB;
INSERT INTO template_command VALUES (1, '1'), (2, '2');

CREATE TABLE global_variables (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, uuid CHAR(32) NOT NULL UNIQUE, name VARCHAR(255) NOT NULL, summary VARCHAR(255) NULL,
  value VARCHAR(255) NOT NULL, created DATETIME(6) NOT NULL, updated DATETIME(6) NULL, deleted DATETIME(6) NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO global_variables (uuid, name, summary, value, created) VALUES
  ('0f5658f37f2b45d881f19c7f56ea2e23', 'ClusterToken/ExpirationTime', 'bearer token expiration time', '4380h0m0s', '2026-08-01 00:00:00'),
  ('77f7b2aeb0aa4254ad073ae7743291ab', 'ClientSession/SignatureSecret', 'signature secret', 'dGhlIHNlY3JldCBvZiB0aGUgZmlyc3Q=', '2026-08-01 00:00:00'),
  ('af9a14a58b254d13ae69c065a27811b6', 'ClientSession/ExpirationTime', 'session expiration', '3m0s', '2026-08-01 00:00:00'),
  ('bc2cd0f95b6d4db68870d30862523a04', 'ClientConfig/ServiceValidityPeriod', 'validity', '15m0s', '2026-08-01 00:00:00'),
  ('cccccccccccccccccccccccccccccccc', 'Own/Variable', NULL, 'as it is', '2026-08-01 00:00:00');

CREATE TABLE webhook (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, uuid CHAR(32) NOT NULL, name VARCHAR(255) NOT NULL, summary VARCHAR(255) NULL,
  url VARCHAR(255) NOT NULL, method VARCHAR(16) NOT NULL, headers TEXT NULL, timeout BIGINT NOT NULL, condition_validator VARCHAR(32) NULL,
  condition_filter TEXT NULL, created DATETIME(6) NOT NULL, updated DATETIME(6) NULL, deleted DATETIME(6) NOT NULL DEFAULT '0001-01-01 00:00:00'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO webhook (uuid, name, url, method, headers, timeout, condition_validator, condition_filter, created, deleted) VALUES
  ('20000000000000000000000000000000', 'hook', 'http:localhost', 'post', '{"X-A":["1","2"]}', 90000000000, 'jq', '.foo', '2026-09-01 08:00:00', '0001-01-01'),
  ('20000000000000000000000000000001', 'plain', 'https://example.com/h', 'PUT', NULL, 0, 'none', NULL, '2026-09-01 08:00:00', '0001-01-01'),
  ('20000000000000000000000000000002', 'gone', 'https://example.com/h', 'PUT', NULL, 0, 'none', NULL, '2026-09-01 08:00:00', '2026-09-05 00:00:00');

CREATE TABLE service (
  pdate DATE NOT NULL, cluster_uuid CHAR(32) NOT NULL, uuid CHAR(32) NOT NULL, name VARCHAR(255) NULL, summary VARCHAR(255) NULL,
  template_uuid CHAR(32) NOT NULL, flow TEXT NOT NULL, inputs LONGBLOB NULL, step_max INT NOT NULL, subscribed_channel CHAR(32) NULL,
  priority INT NOT NULL DEFAULT 0, created DATETIME(6) NOT NULL, PRIMARY KEY (pdate, cluster_uuid, uuid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
PARTITION BY RANGE COLUMNS (pdate) (PARTITION p09 VALUES LESS THAN ('2026-10-01'), PARTITION p10 VALUES LESS THAN ('2026-10-16'), PARTITION pn VALUES LESS THAN (MAXVALUE));
CREATE TABLE service_status (
  pdate DATE NOT NULL, cluster_uuid CHAR(32) NOT NULL, uuid CHAR(32) NOT NULL, step_seq INT NOT NULL, status INT NOT NULL,
  started DATETIME(6) NULL, ended DATETIME(6) NULL, message TEXT NULL, created DATETIME(6) NOT NULL,
  KEY (pdate, cluster_uuid, uuid, created)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
PARTITION BY RANGE COLUMNS (pdate) (PARTITION p09 VALUES LESS THAN ('2026-10-01'), PARTITION p10 VALUES LESS THAN ('2026-10-16'), PARTITION pn VALUES LESS THAN (MAXVALUE));
CREATE TABLE service_result (
  pdate DATE NOT NULL, cluster_uuid CHAR(32) NOT NULL, uuid CHAR(32) NOT NULL, save_type INT NOT NULL, result LONGTEXT NOT NULL,
  created DATETIME(6) NOT NULL, PRIMARY KEY (pdate, cluster_uuid, uuid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
PARTITION BY RANGE COLUMNS (pdate) (PARTITION p09 VALUES LESS THAN ('2026-10-01'), PARTITION p10 VALUES LESS THAN ('2026-10-16'), PARTITION pn VALUES LESS THAN (MAXVALUE));

-- 300 tasks over 30 days on three clusters. The uuid of every fifth is shared with the next cluster: a fan-out.
CREATE TEMPORARY TABLE plan AS
  SELECT seq AS n, DATE('2026-09-20') + INTERVAL seq % 30 DAY AS pdate,
    ELT(1 + seq % 3, '00000000000000000000000000000000', '00000000000000000000000000000001', 'EDGE-01') AS cluster_uuid,
    CONCAT('f', LPAD(HEX(IF(seq % 5 = 0, seq + 1, seq)), 31, '0')) AS uuid,
    IF(seq % 4 = 0, 'two_steps', 'example_simple') AS template_uuid,
    seq % 7 = 3 AS failed
  FROM seq_1_to_300;
ALTER TABLE plan ADD COLUMN made DATETIME(6);
-- A fan-out is made at one moment.
UPDATE plan SET pdate = DATE('2026-09-20') + INTERVAL CONV(SUBSTRING(uuid, 2), 16, 10) % 30 DAY;
UPDATE plan SET made = pdate + INTERVAL CONV(SUBSTRING(uuid, 2), 16, 10) MINUTE + INTERVAL 434999 MICROSECOND;
INSERT INTO service SELECT pdate, cluster_uuid, uuid, CONCAT('task ', n), IF(n % 2, '', NULL), template_uuid,
    (SELECT flow FROM template t WHERE t.uuid = plan.template_uuid), IF(n % 11 = 0, NULL, CONCAT('{"name": "world", "n": ', n, '}')),
    IF(template_uuid = 'two_steps', 2, 1), IF(n % 10 = 0, '20000000000000000000000000000000', NULL), n % 3, made FROM plan;
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 0, NULL, NULL, NULL, made FROM plan;
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 1, made, made + INTERVAL 1 SECOND, NULL, made + INTERVAL 1 SECOND FROM plan;
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 2, made + INTERVAL 2 SECOND, NULL, '', made + INTERVAL 2 SECOND FROM plan;
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 2, made + INTERVAL 2 SECOND, made + INTERVAL 3 SECOND, '', made + INTERVAL 3 SECOND FROM plan WHERE template_uuid = 'two_steps';
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 1, 2, made + INTERVAL 4 SECOND, NULL, '', made + INTERVAL 4 SECOND FROM plan WHERE template_uuid = 'two_steps';
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, template_uuid = 'two_steps', IF(failed, 8, 4), made + INTERVAL 2 SECOND, made + INTERVAL 5 SECOND,
    IF(failed, 'it went wrong', ''), made + INTERVAL 5 SECOND FROM plan;
INSERT INTO service_result SELECT pdate, cluster_uuid, uuid, 1, CONCAT('"hello world ', n, '"'), made + INTERVAL 5 SECOND FROM plan WHERE NOT failed;

-- Odd ones: an odd uuid, inputs that are no JSON, a cluster that is gone without a trace, a cluster that was deleted, no status at all.
INSERT INTO service (pdate, cluster_uuid, uuid, name, template_uuid, flow, inputs, step_max, created) VALUES
  ('2026-10-02', '00000000000000000000000000000000', '00001', 'odd', 'example_simple', '[{"$id":"step1","$command":"helloworld","inputs":"$inputs"}]', 'no json', 1, '2026-10-02 10:00:00'),
  ('2026-10-02', '0000000000000000000000000000000c', 'e0000000000000000000000000000001', 'of a lost cluster', 'long_gone', '[{"$id":"step1","$command":"x"}]', '{}', 1, '2026-10-02 10:00:00'),
  ('2026-10-02', '0000000000000000000000000000000d', 'e0000000000000000000000000000002', 'of a deleted cluster', 'broken', '[{"$id":', '{}', 3, '2026-10-02 10:00:00');
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 0, NULL, NULL, NULL, created FROM service WHERE name LIKE 'o%';
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 4, created, created + INTERVAL 1 MINUTE, '', created + INTERVAL 1 MINUTE FROM service WHERE name LIKE 'o%';
INSERT INTO service_result SELECT pdate, cluster_uuid, uuid, 1, '[1,4,9]', created + INTERVAL 1 MINUTE FROM service WHERE name LIKE 'o%';

-- What had not ended when the server was stopped, on 2026-10-25 at noon.
INSERT INTO service (pdate, cluster_uuid, uuid, name, template_uuid, flow, inputs, step_max, created) VALUES
  ('2026-10-25', '00000000000000000000000000000000', 'a0000000000000000000000000000001', 'waits', 'example_simple', '[{"$id":"step1","$command":"helloworld","inputs":"$inputs"}]', '{"name":"late"}', 1, '2026-10-25 11:59:00'),
  ('2026-10-20', '00000000000000000000000000000000', 'a0000000000000000000000000000002', 'was never taken', 'example_simple', '[{"$id":"step1","$command":"helloworld","inputs":"$inputs"}]', '{}', 1, '2026-10-20 11:00:00'),
  ('2026-10-25', '00000000000000000000000000000000', 'a0000000000000000000000000000003', 'was sent', 'example_simple', '[{"$id":"step1","$command":"helloworld","inputs":"$inputs"}]', '{}', 1, '2026-10-25 11:58:00'),
  ('2026-10-25', '00000000000000000000000000000000', 'a0000000000000000000000000000004', 'was running', 'two_steps', '[{"$id":"a","$command":"helloworld","inputs":"$inputs"},{"$id":"b","$command":"helloworld","inputs":{"name":"$a.outputs"}}]', '{}', 2, '2026-10-25 11:57:00');
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 0, NULL, NULL, NULL, created FROM service WHERE uuid LIKE 'a%';
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 1, created, created, NULL, created + INTERVAL 1 SECOND FROM service WHERE uuid IN ('a0000000000000000000000000000003', 'a0000000000000000000000000000004');
INSERT INTO service_status SELECT pdate, cluster_uuid, uuid, 0, 2, created, NULL, '', '2026-10-25 12:00:00' FROM service WHERE uuid = 'a0000000000000000000000000000004';
