//! Which rows are looked at, and whether they are still what was read: conditions of both engines.

use sqlx::Row as _;

use super::{
    super::{Db, Error, Store, both},
    Cursor, bound, quoted,
    tables::{Column, Part, Table, Value},
};

/// A shorter value is compared as a whole before it is replaced, a longer one by its length, beginning and end, characters:
/// inputs and results, which are written once.
const COMPARED: usize = 4_096;
const ENDS: usize = 64;

impl Store {
    /// The keys of rows with a value that is not sealed under `prefix`, in their order.
    pub(super) async fn keys_behind(
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

    /// A condition that a column still holds what was read.
    pub(super) fn unchanged(&self, column: &str, stored: &str) -> (String, Vec<Value>) {
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
    pub(super) fn head(&self, column: &str, length: usize) -> String {
        self.exactly(&format!("SUBSTR({column}, 1, {length})"))
    }

    /// MariaDB's texts compare without case.
    fn exactly(&self, expression: &str) -> String {
        match &self.db {
            Db::Maria(_) => format!("BINARY {expression}"),
            Db::Sqlite(_) => expression.to_owned(),
        }
    }

    pub(super) fn integer(&self) -> &'static str {
        match &self.db {
            Db::Maria(_) => "SIGNED",
            Db::Sqlite(_) => "INTEGER",
        }
    }
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
