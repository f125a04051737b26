//! The first version's MariaDB database, read only: its tables and columns are asked for by name, and no type is assumed.

use std::{collections::HashMap, fmt::Write as _, str::FromStr as _, sync::Arc};

use sqlx::{
    Row as _,
    mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions, MySqlRow},
};

use super::{Error, Maria};
use crate::model::original::Record;

/// What each connection says first: nothing is changed, times are UTC.
const SESSION: &[&str] = &["SET SESSION TRANSACTION READ ONLY", "SET SESSION time_zone = '+00:00'"];

/// Where the first version's database is.
#[derive(Clone)]
pub struct Place(MySqlConnectOptions);

impl Place {
    /// From `mysql://user:password@host:port/database`.
    ///
    /// # Errors
    /// A sentence without the password.
    pub fn at(url: &str) -> Result<Self, String> {
        let wrong = "the database is named as mysql://USER:PASSWORD@HOST:PORT/DATABASE; characters such as @ and / in a password are written %40 and %2F";
        let options = MySqlConnectOptions::from_str(url).map_err(|_| wrong.to_owned())?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(format!("no database is named: {wrong}"));
        }
        Ok(Self(options))
    }

    /// Another schema of a configured server.
    #[must_use]
    pub fn beside(maria: &Maria, schema: &str) -> Self {
        let (host, port) = maria.hosts.first().map_or(("127.0.0.1", 3306), |(host, port)| (host.as_str(), *port));
        Self(
            MySqlConnectOptions::new()
                .host(host)
                .port(port)
                .database(schema)
                .username(&maria.username)
                .password(&maria.password),
        )
    }
}

/// For people: where, and never as whom.
impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let schema = self.0.get_database().unwrap_or_default();
        write!(formatter, "{}:{}/{schema}", self.0.get_host(), self.0.get_port())
    }
}

/// See the module.
pub struct Original {
    pool: MySqlPool,
    /// By the tables' names: how each column is selected.
    tables: HashMap<String, Table>,
}

/// One table.
#[derive(Clone, Debug, Default)]
struct Table {
    columns: Vec<String>,
    select: String,
}

impl Original {
    /// Connects and looks what is there.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn open(place: &Place) -> Result<Self, Error> {
        let pool = MySqlPoolOptions::new()
            .max_connections(2)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    for statement in SESSION {
                        sqlx::query(*statement).execute(&mut *connection).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(place.0.clone())
            .await?;
        let sql = "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR), CAST(data_type AS CHAR) FROM information_schema.columns \
             WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position";
        let mut tables: HashMap<String, Table> = HashMap::new();
        for row in &sqlx::query(sql).fetch_all(&pool).await? {
            let (table, column, kind): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let table = tables.entry(table).or_default();
            if !table.select.is_empty() {
                table.select.push_str(", ");
            }
            table.select.push_str(&selected(&column, &kind));
            table.columns.push(column.to_lowercase());
        }
        Ok(Self { pool, tables })
    }

    /// All tables, in the order of their names.
    #[must_use]
    pub fn tables(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.tables.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Whether a table has a column.
    #[must_use]
    pub fn has(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|table| table.columns.iter().any(|name| name == column))
    }

    /// `schema_migrations.version`, and whether a migration was left half done; none: there is no such table.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn version(&self) -> Result<Option<(i64, bool)>, Error> {
        if !self.has("schema_migrations", "version") {
            return Ok(None);
        }
        let dirty = if self.has("schema_migrations", "dirty") { "MAX(dirty + 0)" } else { "0" };
        let sql = format!("SELECT CAST(MAX(version) AS SIGNED), CAST({dirty} AS SIGNED) FROM schema_migrations");
        let row: (Option<i64>, Option<i64>) = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await?;
        Ok(row.0.map(|version| (version, row.1.unwrap_or_default() != 0)))
    }

    /// How many rows a table has.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn count(&self, table: &str) -> Result<u64, Error> {
        let sql = format!("SELECT COUNT(*) FROM {}", quoted(table));
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await?;
        Ok(count.unsigned_abs())
    }

    /// All rows of a table that is small: what people declare.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn all(&self, table: &str) -> Result<Vec<Record>, Error> {
        let order = ["created", "uuid"].into_iter().filter(|column| self.has(table, column)).map(quoted);
        let order: Vec<String> = order.collect();
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        let sql = format!("{}{order}", self.select(table));
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        self.records(table, &rows)
    }

    /// The latest value of a column with times.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn latest(&self, table: &str, column: &str) -> Result<Option<Record>, Error> {
        if !self.has(table, column) {
            return Ok(None);
        }
        let sql = format!("SELECT CAST(MAX({}) AS CHAR) FROM {}", quoted(column), quoted(table));
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await?;
        Ok(Some(Record { columns: vec![column.to_owned()].into(), cells: vec![row.try_get_unchecked(0)?] }))
    }

    /// The days by which a table's rows are partitioned; one "day" that is none where it has no such column.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn days(&self, table: &str) -> Result<Vec<Option<String>>, Error> {
        if !self.has(table, DAY) {
            return Ok(vec![None]);
        }
        let sql = format!("SELECT DISTINCT CAST({DAY} AS CHAR) AS day FROM {} ORDER BY day", quoted(table));
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?)
    }

    /// The rows of a day that follow a task's key, `cluster_uuid` and `uuid`, in their order.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn page(
        &self,
        table: &str,
        day: Option<&str>,
        after: Option<&(String, String)>,
        limit: u32,
    ) -> Result<Vec<Record>, Error> {
        let mut query = sqlx::QueryBuilder::new(self.select(table));
        query.push(" WHERE 1 = 1");
        if self.has(table, DAY) {
            query.push(" AND pdate <=> ").push_bind(day);
        }
        if let Some((cluster, uuid)) = after {
            query.push(" AND (cluster_uuid > ").push_bind(cluster).push(" OR (cluster_uuid = ").push_bind(cluster);
            query.push(" AND uuid > ").push_bind(uuid).push("))");
        }
        query.push(" ORDER BY cluster_uuid, uuid LIMIT ").push_bind(limit);
        let rows = query.build().persistent(false).fetch_all(&self.pool).await?;
        self.records(table, &rows)
    }

    /// The rows of a day that belong to tasks, by their `cluster_uuid` and `uuid`.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn of_tasks(
        &self,
        table: &str,
        day: Option<&str>,
        tasks: &[(String, String)],
    ) -> Result<Vec<Record>, Error> {
        let mut by_cluster: HashMap<&str, Vec<&str>> = HashMap::new();
        for (cluster, uuid) in tasks {
            by_cluster.entry(cluster).or_default().push(uuid);
        }
        let mut records = Vec::new();
        for (cluster, uuids) in by_cluster {
            let mut query = sqlx::QueryBuilder::new(self.select(table));
            query.push(" WHERE cluster_uuid = ").push_bind(cluster);
            if self.has(table, DAY) {
                query.push(" AND pdate <=> ").push_bind(day);
            }
            query.push(" AND uuid IN (");
            let mut list = query.separated(", ");
            for uuid in uuids {
                list.push_bind(uuid);
            }
            query.push(")");
            let rows = query.build().persistent(false).fetch_all(&self.pool).await?;
            records.extend(self.records(table, &rows)?);
        }
        Ok(records)
    }

    /// Ends the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn select(&self, table: &str) -> String {
        let columns = self.tables.get(table).map(|table| table.select.as_str()).unwrap_or_default();
        format!("SELECT {columns} FROM {}", quoted(table))
    }

    fn records(&self, table: &str, rows: &[MySqlRow]) -> Result<Vec<Record>, Error> {
        let columns: Arc<[String]> =
            self.tables.get(table).map(|table| table.columns.clone()).unwrap_or_default().into();
        let record = |row: &MySqlRow| {
            let cells = (0..columns.len()).map(|at| row.try_get_unchecked(at)).collect::<Result<_, _>>()?;
            Ok(Record { columns: Arc::clone(&columns), cells })
        };
        rows.iter().map(record).collect()
    }
}

/// The column of a task's day.
const DAY: &str = "pdate";

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// How a column is read: texts in one character set, bytes as they are, anything else as the engine writes it.
fn selected(column: &str, kind: &str) -> String {
    let name = quoted(column);
    let mut text = String::new();
    let _ = match kind.to_lowercase().as_str() {
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "json" | "enum" | "set" => {
            write!(text, "CONVERT({name} USING utf8mb4)")
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => write!(text, "{name}"),
        "bit" => write!(text, "CAST({name} + 0 AS CHAR)"),
        _ => write!(text, "CAST({name} AS CHAR)"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn a_place_is_shown_without_who_connects_and_a_wrong_one_without_what_was_given() {
        let place = Place::at("mysql://root:s3cret@db.example:3307/first").unwrap();
        assert_eq!(place.to_string(), "db.example:3307/first");
        for wrong in ["mysql://root:s3cret@db.example", "mysql://root:s3cret@db.example:port/x", "s3cret"] {
            let said = Place::at(wrong).err().unwrap();
            assert!(said.contains("mysql://USER:PASSWORD@") && !said.contains("s3cret"), "{said}");
        }
    }
}
