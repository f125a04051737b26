-- People's tokens for the API, found by the SHA-256 of what their bearer shows. A revoked one keeps its row, so that its name, which
-- stands in `created_by` and in the audit trail, means nobody else later. Names and uuids are compared without case.
CREATE TABLE api_token (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL COLLATE NOCASE UNIQUE,
  summary TEXT NULL,
  role TEXT NOT NULL,
  clusters TEXT NULL,
  templates TEXT NULL,
  digest BLOB NOT NULL UNIQUE,
  expires_at BIGINT NULL,
  last_used BIGINT NULL,
  revision BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NULL
);

-- What was changed has columns of its own; so have the place that a request came from, what the resource was and is, and the answer.
ALTER TABLE audit RENAME COLUMN action TO operation;
ALTER TABLE audit ADD COLUMN resource_type TEXT NOT NULL DEFAULT 'service';
ALTER TABLE audit ADD COLUMN resource_uuid TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN cluster_uuid TEXT NULL;
ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN digest_before TEXT NULL;
ALTER TABLE audit ADD COLUMN digest_after TEXT NULL;
ALTER TABLE audit ADD COLUMN code INT NOT NULL DEFAULT 200;
UPDATE audit SET resource_uuid = SUBSTR(subject, 9, 32), cluster_uuid = SUBSTR(subject, 45);
ALTER TABLE audit DROP COLUMN subject;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_resource ON audit (resource_uuid);
