-- What the call of a step used, as JSON: CPU, wall time, memory, host calls.
ALTER TABLE step ADD COLUMN used TEXT NULL;
