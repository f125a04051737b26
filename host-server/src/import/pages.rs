//! Tasks, page by page: each page with its statuses and results is one transaction.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    Error, Import, resources,
    summary::Count,
    tables::Tables,
    tasks::{self, Made, Tasks},
    work::{Work, again},
};
use crate::model::{
    duration::micros,
    nouns::Cluster,
    original::{Odd, Record, Taken},
    variables::Settings,
};

/// Tasks of one transaction.
const PAGE: u32 = 100;
/// Between two lines about how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// A task's `cluster_uuid` and `uuid`.
type Key = (String, String);

/// What was met so far.
struct Met {
    tasks: Count,
    statuses: Count,
    results: Count,
    /// Clusters of ours by their uuids.
    clusters: HashMap<String, i64>,
}

impl Work<'_> {
    pub(super) async fn tasks(&mut self, import: &Import, tables: &Tables, settings: &Settings) -> Result<(), Error> {
        let original = self.original;
        let of = |table: &str| Count { table: table.to_owned(), ..Count::default() };
        let total = original.count(tables.services).await?;
        let mut tasks = Tasks {
            clear: self.clear.clone(),
            stopped: import.stopped,
            now_us: self.source.now_us(),
            last_us: self.last_written(tables).await?,
            validity_us: micros(settings.validity),
            most_bytes: import.most_bytes,
            snapshots: HashMap::new(),
        };
        let days = original.days(tables.services).await?;
        let first = days.iter().flatten().next().and_then(|day| first_us(day));
        self.store.partition_past(first.unwrap_or(tasks.now_us), tasks.now_us).await?;
        let mut met = Met {
            tasks: of(tables.services),
            statuses: of(tables.statuses),
            results: of(tables.results),
            clusters: self.store.cluster_rows().await?,
        };
        let mut said = Instant::now();
        for day in &days {
            let mut after: Option<Key> = None;
            loop {
                let page = original.page(tables.services, day.as_deref(), after.as_ref(), PAGE).await?;
                if page.is_empty() {
                    break;
                }
                after = self.page(&mut tasks, tables, day.as_deref(), &page, &mut met).await?;
                if said.elapsed() >= PROGRESS {
                    tracing::info!(import.tasks = met.tasks.read, import.of = total, "taking over tasks");
                    said = Instant::now();
                }
            }
        }
        self.look_back(tables, total, met).await
    }

    /// Stores a page; its last key.
    async fn page(
        &mut self,
        tasks: &mut Tasks,
        tables: &Tables,
        day: Option<&str>,
        page: &[Record],
        met: &mut Met,
    ) -> Result<Option<Key>, Error> {
        let keys = page.iter().map(key).collect::<Result<Vec<Key>, _>>();
        let keys = keys.map_err(|odd| Error::Row(tables.services.to_owned(), odd))?;
        let statuses = self.original.of_tasks(tables.statuses, day, &keys).await?;
        let results = self.original.of_tasks(tables.results, day, &keys).await?;
        met.tasks.read += page.len() as u64;
        met.statuses.read += statuses.len() as u64;
        met.results.read += results.len() as u64;
        let (statuses, results) = (grouped(statuses), grouped(results));
        self.declare_lost(page, met).await?;
        let mut taken: Vec<Taken> = Vec::with_capacity(page.len());
        for (record, key) in page.iter().zip(&keys) {
            let key = folded(key);
            let own = |rows: &HashMap<Key, Vec<Record>>| rows.get(&key).cloned().unwrap_or_default();
            let cluster = cluster_of(record).and_then(|uuid| met.clusters.get(&uuid).copied());
            let made = cluster
                .ok_or_else(|| Odd("its `cluster_uuid` cannot be stored".into()))
                .and_then(|cluster| tasks.make(record, cluster, &own(&statuses), &own(&results)));
            match made {
                Ok(Made::Task(task, remarks)) => {
                    met.tasks.odd += u64::from(!remarks.is_empty());
                    remarks.into_iter().for_each(|remark| self.summary.remark(tables.services, &key.1, remark));
                    taken.push(task);
                }
                Ok(Made::Open) => met.tasks.open += 1,
                Err(odd) => {
                    met.tasks.refused += 1;
                    self.summary.remark(tables.services, &key.1, odd);
                }
            }
        }
        let stored = again(|| self.store.import_tasks(&taken, tasks::no_request())).await?;
        met.tasks.written += stored.written;
        met.tasks.there += stored.there;
        Ok(keys.into_iter().next_back())
    }

    /// Whether every row was met.
    async fn look_back(&mut self, tables: &Tables, total: u64, mut met: Met) -> Result<(), Error> {
        for (count, table) in [(&mut met.statuses, tables.statuses), (&mut met.results, tables.results)] {
            let rows = self.original.count(table).await?.saturating_sub(count.read);
            if rows > 0 {
                count.odd = rows;
                self.summary.remark(table, "", format!("{rows} row(s) belong to no task and were left"));
            }
        }
        let rows = total.saturating_sub(met.tasks.read);
        if rows > 0 {
            met.tasks.refused += rows;
            let why = format!("{rows} row(s) were not met: two of one key, or rows that went meanwhile");
            self.summary.remark(tables.services, "", why);
        }
        self.summary.counts.extend([met.tasks, met.statuses, met.results]);
        Ok(())
    }

    /// When the first version last wrote about tasks, microseconds since 1970.
    async fn last_written(&self, tables: &Tables) -> Result<i64, Error> {
        let mut last = 0;
        for table in [tables.services, tables.statuses] {
            let record = self.original.latest(table, "created").await?;
            let at = record.and_then(|record| record.time("created").ok().flatten());
            last = last.max(at.unwrap_or_default());
        }
        Ok(last)
    }

    /// Declares clusters of which only tasks are left.
    async fn declare_lost(&mut self, page: &[Record], met: &mut Met) -> Result<(), Error> {
        let lost: HashSet<String> =
            page.iter().filter_map(cluster_of).filter(|uuid| !met.clusters.contains_key(uuid)).collect();
        if lost.is_empty() {
            return Ok(());
        }
        let now = self.source.now_us();
        let rows: Vec<Cluster> = lost.into_iter().map(|uuid| resources::lost_cluster(uuid, now)).collect();
        again(|| self.store.import_clusters(&rows)).await?;
        for row in &rows {
            self.summary.remark("cluster", &row.uuid, "it is not there, but its tasks are: it stands as a deleted one");
        }
        met.clusters = self.store.cluster_rows().await?;
        Ok(())
    }
}

fn cluster_of(record: &Record) -> Option<String> {
    resources::uuid(record, "cluster_uuid", &mut vec![]).ok()
}

/// A task's key, as the first version's database orders it.
fn key(record: &Record) -> Result<Key, Odd> {
    Ok((record.text_or_empty("cluster_uuid")?, record.text_or_empty("uuid")?))
}

/// A key as rows are compared: without case.
fn folded((cluster, uuid): &Key) -> Key {
    (cluster.to_lowercase(), uuid.to_lowercase())
}

fn grouped(records: Vec<Record>) -> HashMap<Key, Vec<Record>> {
    let mut groups: HashMap<Key, Vec<Record>> = HashMap::new();
    for record in records {
        let key = key(&record).unwrap_or_default();
        groups.entry(folded(&key)).or_default().push(record);
    }
    groups
}

/// The start of a day, microseconds since 1970.
fn first_us(day: &str) -> Option<i64> {
    let record = Record { columns: vec!["pdate".to_owned()].into(), cells: vec![Some(day.as_bytes().to_vec())] };
    record.time("pdate").ok().flatten()
}
