-- What a server last wrote of each template that it brings, and which edition of them it had. A template that no longer has this
-- digest was changed by somebody, one with a row here and none in `template` was deleted: both stay as they are.
CREATE TABLE predefined (
  uuid CHAR(32) CHARACTER SET ascii NOT NULL PRIMARY KEY,
  edition INT NOT NULL,
  digest BINARY(32) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
