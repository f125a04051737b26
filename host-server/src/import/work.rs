//! Tables of resources, each read whole and stored in one transaction.

use std::time::Duration;

use super::{
    Error,
    clear::Clear,
    resources::{self, Found, Row},
    summary::{Count, Summary},
    webhooks,
};
use crate::{
    app::predefined,
    model::{
        ids::{Source, time},
        nouns::Cluster,
        original::{Odd, Record},
        variables::Settings,
    },
    storage::{self, Original, Store, Stored},
};

/// Deadlocks and fail-overs pass.
const TRIES: u32 = 8;

/// Everything at hand.
pub(super) struct Work<'a> {
    pub(super) original: &'a Original,
    pub(super) store: &'a Store,
    pub(super) source: &'a Source,
    pub(super) clear: Clear,
    pub(super) summary: Summary,
}

/// Tries again what may pass.
pub(super) async fn again<T, F: Future<Output = Result<T, storage::Error>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        match attempt().await {
            Err(error) if tries < TRIES && (error.may_pass() || matches!(error, storage::Error::Duplicate)) => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10 << tries)).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

impl Work<'_> {
    /// Reads a table of resources; what `read` refuses is counted and said.
    async fn rows<T>(
        &mut self,
        table: &str,
        read: impl Fn(&Record) -> Result<Found<T>, Odd>,
    ) -> Result<(Count, Vec<T>), Error> {
        let mut count = Count { table: table.to_owned(), ..Count::default() };
        let mut rows = Vec::new();
        for record in self.original.all(table).await? {
            count.read += 1;
            let name = record.text_or_empty("uuid").unwrap_or_default();
            match read(&record) {
                Ok(Found::Ours) => count.there += 1,
                Ok(Found::Deleted) => count.deleted += 1,
                Ok(Found::Row(Row { row, remarks })) => {
                    count.odd += u64::from(!remarks.is_empty());
                    remarks.into_iter().for_each(|remark| self.summary.remark(table, &name, remark));
                    rows.push(row);
                }
                Err(odd) => {
                    count.refused += 1;
                    self.summary.remark(table, &name, odd);
                }
            }
        }
        tracing::info!(import.table = table, import.rows = count.read, "read");
        Ok((count, rows))
    }

    fn done(&mut self, mut count: Count, stored: Stored) {
        count.written += stored.written;
        count.there += stored.there;
        self.summary.counts.push(count);
    }

    pub(super) async fn variables(&mut self, table: Option<&'static str>) -> Result<(), Error> {
        let Some(table) = table else { return Ok(()) };
        let (count, rows) = self.rows(table, |record| living(record, resources::variable)).await?;
        let stored = again(|| self.store.import_variables(&rows)).await?;
        self.done(count, stored);
        Ok(())
    }

    pub(super) async fn clusters(&mut self, table: &str) -> Result<(), Error> {
        let (count, rows) = self.rows(table, |record| resources::cluster(record).map(Found::Row)).await?;
        // A cluster that was deleted and declared again stands there twice: the living row counts.
        let (living, deleted): (Vec<Cluster>, Vec<Cluster>) = rows.into_iter().partition(|row| row.deleted.is_none());
        let mut stored = again(|| self.store.import_clusters(&living)).await?;
        stored += again(|| self.store.import_clusters(&deleted)).await?;
        self.done(count, stored);
        Ok(())
    }

    pub(super) async fn tokens(&mut self, table: &str, settings: &Settings) -> Result<(), Error> {
        let clear = self.clear.clone();
        let read = |record: &Record| living(record, |record| resources::token(record, &clear, settings));
        let (count, rows) = self.rows(table, read).await?;
        let stored = again(|| self.store.import_tokens(&rows)).await?;
        self.done(count, stored);
        Ok(())
    }

    pub(super) async fn webhooks(&mut self, table: Option<&'static str>) -> Result<(), Error> {
        let Some(table) = table else { return Ok(()) };
        let clear = self.clear.clone();
        let read = |record: &Record| living(record, |record| webhooks::webhook(record, &clear));
        let (count, rows) = self.rows(table, read).await?;
        let stored = again(|| self.store.import_webhooks(&rows)).await?;
        self.done(count, stored);
        Ok(())
    }

    pub(super) async fn templates(&mut self, table: &str) -> Result<(), Error> {
        let ours = predefined::shipped(time(self.source.now_us()).naive_utc())?;
        let read = |record: &Record| match record.is_deleted()? {
            true => Ok(Found::Deleted),
            false => resources::template(record, &ours),
        };
        let (count, rows) = self.rows(table, read).await?;
        let stored = again(|| self.store.import_templates(&rows)).await?;
        self.done(count, stored);
        Ok(())
    }
}

/// A row, unless it was deleted.
fn living<T>(record: &Record, read: impl Fn(&Record) -> Result<Row<T>, Odd>) -> Result<Found<T>, Odd> {
    if record.is_deleted()? { Ok(Found::Deleted) } else { read(record).map(Found::Row) }
}
