-- One row where the content of the first version's database was taken over, or is being: `ended` is NULL until all of it is here.
CREATE TABLE import (
  id INTEGER NOT NULL PRIMARY KEY,
  source TEXT NOT NULL,
  began INTEGER NOT NULL,
  ended INTEGER NULL
);
