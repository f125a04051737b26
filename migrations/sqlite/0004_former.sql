-- The version of an agent's library: agents of the first version have one.
ALTER TABLE session ADD COLUMN library_version TEXT NULL;
