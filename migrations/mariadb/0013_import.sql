-- One row where the content of the first version's database was taken over, or is being: `ended` is NULL until all of it is here.
CREATE TABLE import (
  id INT NOT NULL PRIMARY KEY,
  source VARCHAR(255) NOT NULL,
  began BIGINT NOT NULL,
  ended BIGINT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
