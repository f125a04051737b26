//! Values that are sealed under another key than the first, or not at all, are sealed again: in small pieces, while servers run.
//!
//! A value is replaced only while it is what was read, so nobody's write is lost. What was done stays done: whoever begins again
//! finds only what is left.

use sqlx::Row as _;

use super::{Db, Error, Store, both};
use crate::enigma::{Enigma, Former, Place, Row};

/// A longer value would not go through MariaDB in one packet, bytes.
const LONGEST: usize = 16_000_000;
/// A shorter value is compared as a whole before it is replaced, a longer one by its length, beginning and end, characters:
/// inputs and results, which are written once.
const COMPARED: usize = 4_096;
const ENDS: usize = 64;
/// How long a replica that was not heard of may still be there, microseconds.
const REPLICA_US: i64 = 60_000_000;

/// A query with the values of a key.
macro_rules! bound {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value.clone() {
                Value::Blob(bytes) => query.bind(bytes),
                Value::Number(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
            };
        }
        query
    }};
}

/// A part of a table's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Blob(&'static str),
    Number(&'static str),
    Text(&'static str),
    /// A number that no value is bound to.
    Loose(&'static str),
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Blob(name) | Self::Number(name) | Self::Text(name) | Self::Loose(name) => name,
        }
    }
}

/// One value of such a part.
#[derive(Clone, Debug)]
enum Value {
    Blob(Vec<u8>),
    Number(i64),
    Text(String),
}

/// A column of the database, as it is, and the names under which its values are bound.
#[derive(Clone, Copy, Debug)]
struct Column {
    name: &'static str,
    bound_as: &'static str,
    /// Where what the value is found by stands.
    mac: Option<&'static str>,
}

/// A table with such columns.
#[derive(Debug)]
pub struct Table {
    name: &'static str,
    bound_as: &'static str,
    key: &'static [Part],
    /// Which rows.
    only: &'static str,
    columns: &'static [Column],
}

const fn column(name: &'static str, bound_as: &'static str) -> Column {
    Column { name, bound_as, mac: None }
}

/// Everything that is sealed. A task's row goes from `task` to `history`, so `task` comes first.
static TABLES: [Table; 6] = [
    Table {
        name: "cluster_token",
        bound_as: "cluster_token",
        key: &[Part::Text("uuid")],
        only: "",
        columns: &[Column { name: "token", bound_as: "token", mac: Some("token_mac") }],
    },
    Table {
        name: "global_variable",
        bound_as: "global_variable",
        key: &[Part::Text("name")],
        only: " AND name = 'ClientSession/SignatureSecret'",
        columns: &[column("value", "value")],
    },
    Table {
        name: "task",
        bound_as: "task",
        key: &[Part::Blob("id"), Part::Number("cluster")],
        only: "",
        columns: &[column("inputs", "inputs"), column("reason", "error")],
    },
    Table {
        name: "step",
        bound_as: "step",
        key: &[Part::Blob("task"), Part::Number("cluster"), Part::Text("path"), Part::Number("try")],
        only: "",
        columns: &[column("output", "output")],
    },
    Table {
        name: "history",
        bound_as: "task",
        key: &[Part::Blob("id"), Part::Number("cluster"), Part::Loose("ended")],
        only: "",
        columns: &[
            column("inputs", "inputs"),
            column("result", "result"),
            column("error", "error"),
            column("timeline", "timeline"),
        ],
    },
    Table {
        name: "log",
        bound_as: "log",
        key: &[Part::Blob("task"), Part::Number("cluster"), Part::Number("seq")],
        only: "",
        columns: &[column("message", "message"), column("fields", "fields")],
    },
];

/// How many values of a column are stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The table.
    pub table: &'static str,
    /// Its column.
    pub column: &'static str,
    /// None: they are plain.
    pub key: Option<String>,
    /// Values.
    pub values: u64,
}

/// Where in a table the work stands.
#[derive(Clone, Debug, Default)]
pub struct Cursor(Option<Vec<Value>>);

/// What one piece of work did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Values that were sealed again.
    pub sealed: u64,
    /// Values that somebody changed in between; they are met again.
    pub changed: u64,
    /// Values that cannot be opened, or would be too long.
    pub left: u64,
}

impl Store {
    /// The tables with sealed columns, in the order in which they are worked through.
    pub fn sealed_tables() -> impl Iterator<Item = &'static Table> {
        TABLES.iter()
    }

    /// How many values stand under which key, by column; keys without values are left out.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn count_sealed(&self) -> Result<Vec<Count>, Error> {
        let keys = self.registered_keys().await?;
        let mut counts = Vec::new();
        for table in &TABLES {
            for column in table.columns {
                counts.extend(self.count_column(table, *column, &keys).await?);
            }
        }
        Ok(counts)
    }

    async fn count_column(&self, table: &Table, column: Column, keys: &[String]) -> Result<Vec<Count>, Error> {
        let name = column.name;
        let begins =
            |length: usize| format!("COALESCE(SUM(CASE WHEN {} = ? THEN 1 ELSE 0 END), 0)", self.head(name, length));
        let prefixes: Vec<String> =
            keys.iter().map(|key| Enigma::prefix_of(key)).chain([Enigma::MAGIC.to_owned()]).collect();
        let sums: String =
            prefixes.iter().map(|prefix| format!(", CAST({} AS {})", begins(prefix.len()), self.integer())).collect();
        let sql = format!("SELECT COUNT({name}){sums} FROM {} WHERE 1 = 1{}", table.name, table.only);
        let numbers: Vec<i64> = both!(&self.db, pool => {
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for prefix in &prefixes {
                query = query.bind(prefix);
            }
            let row = query.fetch_one(pool).await?;
            (0..=prefixes.len()).map(|index| Ok(row.try_get(index)?)).collect()
        })?;
        let number = |index: usize| numbers.get(index).copied().unwrap_or_default();
        let known: i64 = (1..=keys.len()).map(number).sum();
        let sealed = number(prefixes.len());
        let others = [(None, number(0) - sealed), (Some("?".to_owned()), sealed - known)];
        let of_keys = keys.iter().enumerate().map(|(index, key)| (Some(key.clone()), number(index + 1)));
        let count = |(key, values): (Option<String>, i64)| Count {
            table: table.name,
            column: name,
            key,
            values: u64::try_from(values).unwrap_or_default(),
        };
        Ok(others.into_iter().chain(of_keys).map(count).filter(|count| count.values > 0).collect())
    }

    /// Values that are not sealed under the first key.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn count_unsealed(&self) -> Result<u64, Error> {
        let counts = self.count_sealed().await?;
        Ok(counts
            .iter()
            .filter(|count| count.key.as_deref() != self.enigma.sealing_key())
            .map(|count| count.values)
            .sum())
    }

    /// Seals what is not sealed under the first key, in at most `rows` rows behind `cursor`. None: the table has no more.
    ///
    /// # Errors
    /// [`Error`] of the engine; nothing of the piece is changed then.
    pub async fn rekey_piece(
        &self,
        table: &'static Table,
        cursor: &mut Cursor,
        rows: i64,
        former: Option<&Former>,
    ) -> Result<Option<Piece>, Error> {
        let Some(key) = self.enigma.sealing_key() else { return Ok(None) };
        let prefix = Enigma::prefix_of(key);
        let keys = self.keys_behind(table, cursor, rows, &prefix).await?;
        let Some(last) = keys.last().cloned() else { return Ok(None) };
        let (begin, _, _) = self.begin();
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let here: Vec<String> = table.key.iter().map(|part| format!("{} = ?", quoted(part.name()))).collect();
        let here = here.join(" AND ");
        let select = format!("SELECT {} FROM {} WHERE {here}", names.join(", "), table.name);
        let piece = both!(&self.db, pool => {
            let mut piece = Piece::default();
            let mut tx = pool.begin_with(begin).await?;
            for key in &keys {
                let query = bound!(sqlx::query(sqlx::AssertSqlSafe(select.clone())), key);
                let Some(row) = query.fetch_optional(&mut *tx).await? else { continue };
                for (index, column) in table.columns.iter().enumerate() {
                    let stored: Option<String> = row.try_get(index)?;
                    let Some(stored) = stored.filter(|stored| !stored.starts_with(&prefix)) else { continue };
                    let Some((sealed, mac)) = self.again(table, *column, key, &stored, former) else {
                        piece.left += 1;
                        continue;
                    };
                    let (guard, guards) = self.unchanged(column.name, &stored);
                    let set_mac = column.mac.map(|mac| format!(", {mac} = ?")).unwrap_or_default();
                    let update = format!("UPDATE {} SET {} = ?{set_mac} WHERE {here} AND {guard}", table.name, column.name);
                    let mut query = sqlx::query(sqlx::AssertSqlSafe(update)).bind(sealed);
                    if column.mac.is_some() {
                        query = query.bind(mac);
                    }
                    match bound!(bound!(query, key), &guards).execute(&mut *tx).await?.rows_affected() {
                        0 => piece.changed += 1,
                        _ => piece.sealed += 1,
                    }
                }
            }
            tx.commit().await?;
            Ok(piece)
        })?;
        cursor.0 = Some(last);
        Ok(Some(piece))
    }

    /// Forgets registered keys under which nothing is stored and no replica seals; answers those that are still needed.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn forget_keys(&self) -> Result<Vec<String>, Error> {
        let counts = self.count_sealed().await?;
        let now = self.db.now();
        let sql = format!(
            "DELETE FROM enigma_key WHERE id = ? AND NOT EXISTS (SELECT 1 FROM replica WHERE seals_under = ? AND seen > {now} - ?)"
        );
        let mut needed = Vec::new();
        for key in self.registered_keys().await? {
            if Some(key.as_str()) == self.enigma.sealing_key() {
                continue;
            }
            let in_use =
                counts.iter().any(|count| count.key.as_deref() == Some(&key) || count.key.as_deref() == Some("?"));
            let gone = if in_use {
                0
            } else {
                both!(&self.db, pool => Ok(sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(&key).bind(&key).bind(REPLICA_US)
                    .execute(pool).await?.rows_affected()))?
            };
            if gone == 0 {
                needed.push(key);
            }
        }
        Ok(needed)
    }

    async fn registered_keys(&self) -> Result<Vec<String>, Error> {
        both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT id FROM enigma_key ORDER BY id").fetch_all(pool).await?))
    }

    /// The keys of rows with a value that is not sealed under `prefix`, in their order.
    async fn keys_behind(
        &self,
        table: &'static Table,
        cursor: &Cursor,
        rows: i64,
        prefix: &str,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let names: Vec<String> = table.key.iter().map(|part| quoted(part.name())).collect();
        let open = |column: &Column| {
            format!("({0} IS NOT NULL AND {1} <> ?)", column.name, self.head(column.name, prefix.len()))
        };
        let open: Vec<String> = table.columns.iter().map(open).collect();
        let mut sql =
            format!("SELECT {} FROM {} WHERE ({}){}", names.join(", "), table.name, open.join(" OR "), table.only);
        let mut values = Vec::new();
        if let Some(after) = &cursor.0 {
            let (condition, of_condition) = behind(&names, after);
            sql.push_str(&condition);
            values = of_condition;
        }
        sql.push_str(&format!(" ORDER BY {} LIMIT ?", names.join(", ")));
        both!(&self.db, pool => {
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for _ in table.columns {
                query = query.bind(prefix);
            }
            let found = bound!(query, &values).bind(rows).fetch_all(pool).await?;
            let mut keys = Vec::with_capacity(found.len());
            for row in &found {
                let mut key = Vec::with_capacity(table.key.len());
                for (index, part) in table.key.iter().enumerate() {
                    key.push(match part {
                        Part::Blob(_) => Value::Blob(row.try_get(index)?),
                        Part::Number(_) | Part::Loose(_) => Value::Number(row.try_get(index)?),
                        Part::Text(_) => Value::Text(row.try_get(index)?),
                    });
                }
                keys.push(key);
            }
            Ok(keys)
        })
    }

    /// A value under the first key, and what it is found by. None: it stays, and the log says why.
    fn again(
        &self,
        table: &Table,
        column: Column,
        key: &[Value],
        stored: &str,
        former: Option<&Former>,
    ) -> Option<(String, Option<String>)> {
        let row = table.key.iter().zip(key).fold(Row::default(), |row, (part, value)| match (part, value) {
            (Part::Loose(_), _) => row,
            (_, Value::Blob(bytes)) => row.and(bytes),
            (_, Value::Number(number)) => row.number(*number),
            (_, Value::Text(text)) => row.and(text),
        });
        let place = Place { table: table.bound_as, column: column.bound_as, row: row.bytes() };
        let from_former =
            former.filter(|_| !stored.starts_with(Enigma::MAGIC)).and_then(|former| former.open(stored.as_bytes()));
        let opened = from_former.map_or_else(|| self.enigma.open(place, stored.to_owned()), Ok);
        let sealed = opened.and_then(|text| {
            let mac = column.mac.and_then(|_| self.enigma.mac(table.bound_as, &text));
            Ok((self.enigma.seal(place, &text)?, mac))
        });
        match sealed {
            Ok((sealed, _)) if sealed.len() > LONGEST => {
                tracing::warn!(
                    database.column = format!("{}.{}", table.name, column.name),
                    value.bytes = stored.len(),
                    "a value stays as it is: encrypted, it would be longer than what the database takes"
                );
                None
            }
            Ok(sealed) => Some(sealed),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a value stays as it is");
                None
            }
        }
    }

    /// A condition that a column still holds what was read.
    fn unchanged(&self, column: &str, stored: &str) -> (String, Vec<Value>) {
        let length = stored.chars().count();
        if length <= COMPARED {
            return (format!("{} = ?", self.exactly(column)), vec![Value::Text(stored.to_owned())]);
        }
        let head: String = stored.chars().take(ENDS).collect();
        let tail: String = stored.chars().skip(length - ENDS).collect();
        let count = if matches!(self.db, Db::Maria(_)) { "CHAR_LENGTH" } else { "LENGTH" };
        let from = self.exactly(&format!("SUBSTR({column}, -{ENDS})"));
        let guard = format!("{count}({column}) = ? AND {} = ? AND {from} = ?", self.head(column, ENDS));
        let length = Value::Number(i64::try_from(length).unwrap_or(i64::MAX));
        (guard, vec![length, Value::Text(head), Value::Text(tail)])
    }

    /// The first characters of a column, compared as they are.
    fn head(&self, column: &str, length: usize) -> String {
        self.exactly(&format!("SUBSTR({column}, 1, {length})"))
    }

    /// MariaDB's texts compare without case.
    fn exactly(&self, expression: &str) -> String {
        match &self.db {
            Db::Maria(_) => format!("BINARY {expression}"),
            Db::Sqlite(_) => expression.to_owned(),
        }
    }

    fn integer(&self) -> &'static str {
        match &self.db {
            Db::Maria(_) => "SIGNED",
            Db::Sqlite(_) => "INTEGER",
        }
    }
}

/// `try` is a word of SQL.
fn quoted(name: &str) -> String {
    format!("`{name}`")
}

/// A condition on a key: behind these values, in the key's order. An index serves its first part.
fn behind(names: &[String], after: &[Value]) -> (String, Vec<Value>) {
    let (mut alternatives, mut values) = (Vec::new(), Vec::new());
    for (index, (name, value)) in names.iter().zip(after).enumerate() {
        let equal: String = names.iter().take(index).map(|name| format!("{name} = ? AND ")).collect();
        alternatives.push(format!("({equal}{name} > ?)"));
        values.extend(after.iter().take(index).cloned());
        values.push(value.clone());
    }
    match (names.first(), after.first()) {
        (Some(name), Some(first)) => {
            values.insert(0, first.clone());
            (format!(" AND {name} >= ? AND ({})", alternatives.join(" OR ")), values)
        }
        _ => (String::new(), vec![]),
    }
}
