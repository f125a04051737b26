-- People's tokens for the API, found by the SHA-256 of what their bearer shows. A revoked one keeps its row, so that its name, which
-- stands in `created_by` and in the audit trail, means nobody else later. Names and uuids are compared without case.
CREATE TABLE api_token (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  uuid CHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
  name VARCHAR(128) CHARACTER SET ascii NOT NULL UNIQUE,
  summary TEXT NULL,
  role VARCHAR(16) CHARACTER SET ascii NOT NULL,
  clusters MEDIUMTEXT NULL,
  templates MEDIUMTEXT NULL,
  digest BINARY(32) NOT NULL UNIQUE,
  expires_at BIGINT NULL,
  last_used BIGINT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- What was changed has columns of its own; so have the place that a request came from, what the resource was and is, and the answer.
ALTER TABLE audit RENAME COLUMN action TO operation;
ALTER TABLE audit MODIFY COLUMN request_id VARCHAR(255) NOT NULL;
ALTER TABLE audit
  ADD COLUMN resource_type VARCHAR(32) CHARACTER SET ascii NOT NULL DEFAULT 'service',
  ADD COLUMN resource_uuid VARCHAR(255) NOT NULL DEFAULT '',
  ADD COLUMN cluster_uuid VARCHAR(255) NULL,
  ADD COLUMN address VARCHAR(255) NOT NULL DEFAULT '',
  ADD COLUMN digest_before CHAR(64) CHARACTER SET ascii NULL,
  ADD COLUMN digest_after CHAR(64) CHARACTER SET ascii NULL,
  ADD COLUMN code INT NOT NULL DEFAULT 200,
  ADD KEY audit_at (at),
  ADD KEY audit_resource (resource_uuid);
UPDATE audit SET resource_uuid = SUBSTR(subject, 9, 32), cluster_uuid = SUBSTR(subject, 45);
ALTER TABLE audit DROP COLUMN subject;
