-- Why a task is in doubt, and which lease reported a step: another lease's report may say something else.
ALTER TABLE task ADD COLUMN reason TEXT NULL;
ALTER TABLE step ADD COLUMN lease_id BINARY(16) NULL;
