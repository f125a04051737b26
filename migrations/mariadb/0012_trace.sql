-- The id of the request that created a task: log lines and spans of both hosts carry it.
ALTER TABLE task ADD COLUMN request_id VARCHAR(255) CHARACTER SET ascii NULL;
ALTER TABLE history ADD COLUMN request_id VARCHAR(255) CHARACTER SET ascii NULL;
