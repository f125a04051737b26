-- What a sealed token is found by; NULL is a plain one.
ALTER TABLE cluster_token ADD COLUMN token_mac TEXT NULL;
CREATE INDEX cluster_token_mac ON cluster_token (token_mac);

-- The keys that values may be sealed under. `proof` tells a key from another one of the same name; it is derived, and no secret.
CREATE TABLE enigma_key (
  id TEXT NOT NULL PRIMARY KEY,
  proof TEXT NOT NULL,
  created BIGINT NOT NULL
);

-- The key under which a replica seals; NULL is none.
ALTER TABLE replica ADD COLUMN seals_under TEXT NULL;
