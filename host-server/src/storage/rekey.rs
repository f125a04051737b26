//! Values that are sealed under another key than the first, or not at all, are sealed again: in small pieces, while servers run.
//!
//! A value is replaced only while it is what was read, so nobody's write is lost. What was done stays done: whoever begins again
//! finds only what is left.

mod count;
mod select;
mod tables;

use sqlx::Row as _;

use super::{Error, Store, both};
use crate::enigma::{Enigma, Former, Place, Row};
pub use count::Count;
pub use tables::Table;
use tables::{Column, Part, Value};

/// A longer value would not go through MariaDB in one packet, bytes.
const LONGEST: usize = 16_000_000;
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
use bound;

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
        tables::TABLES.iter()
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
}

/// `try` is a word of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("`{name}`")
}
