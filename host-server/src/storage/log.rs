//! What the commands of tasks said.

use super::{Error, Store, both, pieces::pieces};
use crate::model::{
    ids::Id,
    log::{LogListing, LogRow},
};

/// Rows that one purge removes at most.
const PURGE: i64 = 10_000;

impl Store {
    /// Keeps lines, each under its task.
    ///
    /// # Errors
    /// [`Error`] of the engine; none of them is kept then.
    pub async fn keep_lines(&self, lines: &[(Id, i64, LogRow)]) -> Result<(), Error> {
        let sealed = |(task, cluster, line)| {
            let (task, cluster, line): (&Id, i64, &LogRow) = (task, cluster, line);
            Ok((task, cluster, line, self.seal_line(task, cluster, line)?))
        };
        let lines = lines.iter().map(|(task, cluster, line)| sealed((task, *cluster, line)));
        let lines = lines.collect::<Result<Vec<_>, Error>>()?;
        both!(&self.db, pool => {
            let mut tx = pool.begin().await?;
            for piece in pieces(&lines, |(.., (message, fields))| message.len() + fields.as_ref().map_or(0, String::len)) {
                let mut query = sqlx::QueryBuilder::new("INSERT INTO log (task, cluster, seq, at, path, level, message, fields) ");
                query.push_values(piece, |mut b, (task, cluster, line, (message, fields))| {
                    b.push_bind(task.to_vec()).push_bind(*cluster).push_bind(line.seq).push_bind(line.at).push_bind(line.path.clone())
                        .push_bind(line.level.clone()).push_bind(message.clone()).push_bind(fields.clone());
                });
                query.build().execute(&mut *tx).await?;
            }
            tx.commit().await?;
            Ok(())
        })
    }

    /// A page of a task's lines, in the order in which they arrived.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn lines(&self, task: &[u8], cluster: i64, listing: &LogListing) -> Result<Vec<LogRow>, Error> {
        both!(&self.db, pool => {
            let mut query = sqlx::QueryBuilder::new("SELECT seq, at, path, level, message, fields FROM log WHERE task = ");
            query.push_bind(task.to_vec()).push(" AND cluster = ").push_bind(cluster);
            query.push(" AND seq > ").push_bind(listing.after);
            if let Some(path) = &listing.path {
                query.push(" AND path = ").push_bind(path.clone());
            }
            query.push(" ORDER BY seq LIMIT ").push_bind(listing.limit);
            let lines: Vec<LogRow> = query.build_query_as().fetch_all(pool).await?;
            lines.into_iter().map(|line| self.open_line(task, cluster, line)).collect()
        })
    }

    /// Forgets lines that are older than `before_us`; how many.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn purge_lines(&self, before_us: i64) -> Result<u64, Error> {
        let sql = match &self.db {
            super::Db::Maria(_) => "DELETE FROM log WHERE at < ? ORDER BY at LIMIT ?",
            super::Db::Sqlite(_) => {
                "DELETE FROM log WHERE rowid IN (SELECT rowid FROM log WHERE at < ? ORDER BY at LIMIT ?)"
            }
        };
        both!(&self.db, pool => Ok(sqlx::query(sql).bind(before_us).bind(PURGE).execute(pool).await?.rows_affected()))
    }
}
