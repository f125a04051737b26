-- An envelope is longer than what it holds: by a third, and some hundred characters.
ALTER TABLE cluster_token
  MODIFY token TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  -- What a sealed token is found by; NULL is a plain one.
  ADD COLUMN token_mac CHAR(64) CHARACTER SET ascii NULL,
  ADD INDEX cluster_token_mac (token_mac);
ALTER TABLE task MODIFY reason MEDIUMTEXT NULL;
ALTER TABLE history MODIFY error MEDIUMTEXT NULL;
ALTER TABLE log MODIFY message MEDIUMTEXT NOT NULL, MODIFY fields MEDIUMTEXT NULL;

-- The keys that values may be sealed under. `proof` tells a key from another one of the same name; it is derived, and no secret.
CREATE TABLE enigma_key (
  id VARCHAR(32) CHARACTER SET ascii NOT NULL PRIMARY KEY,
  proof CHAR(32) CHARACTER SET ascii NOT NULL,
  created BIGINT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- The key under which a replica seals; NULL is none.
ALTER TABLE replica ADD COLUMN seals_under VARCHAR(32) CHARACTER SET ascii NULL;
