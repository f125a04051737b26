-- What serves lists. A final task's state never changes, so its entry is written once, behind those of earlier tasks; only uuids that
-- callers chose have an alias.
CREATE INDEX history_state ON history (state, id, cluster);
CREATE INDEX alias_uuid ON alias (uuid);
