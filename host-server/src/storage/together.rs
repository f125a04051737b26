//! Single tasks that are asked for at the same time are read by one statement: what a statement costs beside its rows is then paid
//! once for many callers. Whoever comes alone does not wait.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    ops::RangeInclusive,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    Error, Store, both,
    partition::DAY_US,
    pieces::padded,
    read::{FINAL, LIVE},
};
use crate::model::{ids::Id, task::View};

/// The history is partitioned by the time of the end, and most tasks end soon after they were made: it is looked at from the one
/// to the other of these times around that, and as a whole only for what is not there. Microseconds.
const SOON: RangeInclusive<i64> = -60_000_000..=3_600_000_000;
/// Tasks of one statement at most.
const TASKS: usize = 64;
/// Ids and clusters are listed apart, which MariaDB plans in a third of the time that pairs take. A fan-out has one id on all of its
/// clusters, so their product is bounded too.
const PAIRS: usize = 256;
/// Tasks that must wait before one more statement runs beside others. Fewer go with the next one, which reads what was stored before.
const MANY: usize = 16;
/// Statements that run at once at most.
const AT_ONCE: usize = 4;

/// Who waits for which task.
#[derive(Debug, Default)]
pub(super) struct Together {
    queue: Mutex<Queue>,
    /// Rows of clusters by their uuids. They never change, and are never removed.
    clusters: Mutex<HashMap<String, i64>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Wanted>,
    turns: usize,
}

#[derive(Debug)]
struct Wanted {
    key: Key,
    answer: oneshot::Sender<Result<Option<View>, Error>>,
}

/// A task.
#[derive(Clone, Copy, Debug)]
struct Key {
    id: Id,
    cluster: i64,
}

/// The right to run statements, one after the other, until nobody waits.
struct Turn {
    together: Arc<Together>,
    has_ended: bool,
}

impl Together {
    /// Somebody waits; where a turn begins with that, it has to be taken.
    fn add(self: &Arc<Self>, wanted: Wanted) -> Option<Turn> {
        let mut queue = self.queue.lock();
        queue.waiting.push_back(wanted);
        let begins = queue.turns == 0 || (queue.turns < AT_ONCE && queue.waiting.len() >= MANY * queue.turns);
        queue.turns += usize::from(begins);
        begins.then(|| Turn { together: Arc::clone(self), has_ended: false })
    }
}

impl Turn {
    /// Who waits for longest, and whoever waits for tasks that were made within a day of that one's. None ends the turn.
    fn next(&mut self) -> Vec<Wanted> {
        let mut queue = self.together.queue.lock();
        let Some(first) = queue.waiting.pop_front() else {
            queue.turns -= 1;
            self.has_ended = true;
            return vec![];
        };
        let made = first.key.made();
        let (mut ids, mut clusters) = (HashSet::from([first.key.id]), HashSet::from([first.key.cluster]));
        let mut taken = vec![first];
        for wanted in std::mem::take(&mut queue.waiting) {
            let Key { id, cluster } = wanted.key;
            let is_near = match (made, wanted.key.made()) {
                (Some(made), Some(other)) => made.abs_diff(other) < DAY_US.unsigned_abs(),
                (made, other) => made == other,
            };
            let pairs = (ids.len() + usize::from(!ids.contains(&id)))
                * (clusters.len() + usize::from(!clusters.contains(&cluster)));
            if is_near && taken.len() < TASKS && pairs <= PAIRS {
                ids.insert(id);
                clusters.insert(cluster);
                taken.push(wanted);
            } else {
                queue.waiting.push_back(wanted);
            }
        }
        taken
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.has_ended {
            self.together.queue.lock().turns -= 1;
        }
    }
}

impl Key {
    /// When the task was made, as an id of ours says, microseconds since 1970: a version 7 UUID begins with the millisecond (RFC 9562).
    fn made(&self) -> Option<i64> {
        let [first, second, third, fourth, fifth, sixth, seventh, ..] = self.id;
        let ms = i64::from_be_bytes([0, 0, first, second, third, fourth, fifth, sixth]);
        (seventh >> 4 == 7).then_some(ms * 1_000)
    }
}

impl Store {
    /// One task by the server's id and its cluster's uuid; a deleted cluster's too.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn task_of(&self, cluster_uuid: &str, id: Id) -> Result<Option<View>, Error> {
        let Some(cluster) = self.cluster_row(cluster_uuid).await? else { return Ok(None) };
        let (answer, read) = oneshot::channel();
        let key = Key { id, cluster };
        if let Some(turn) = self.together.add(Wanted { key, answer }) {
            let store = self.clone();
            // A task of its own: a caller who goes away takes nobody's answer along.
            tokio::spawn(async move { store.read_together(turn).await });
        }
        match read.await {
            // It may have ended later; where the id says nothing of when, all was looked at.
            Ok(Ok(None)) if key.made().is_some() => self.task(cluster, &id).await,
            Ok(found) => found,
            // What failed for all of them is told to each by a statement of its own.
            Err(_) => self.task(cluster, &id).await,
        }
    }

    async fn cluster_row(&self, uuid: &str) -> Result<Option<i64>, Error> {
        if let Some(row) = self.together.clusters.lock().get(uuid) {
            return Ok(Some(*row));
        }
        let found: Option<i64> = both!(&self.db, pool => Ok(sqlx::query_scalar("SELECT id FROM cluster WHERE uuid = ?")
            .bind(uuid).fetch_optional(pool).await?))?;
        if let Some(row) = found {
            self.together.clusters.lock().insert(uuid.to_owned(), row);
        }
        Ok(found)
    }

    async fn read_together(&self, mut turn: Turn) {
        loop {
            let taken = turn.next();
            if taken.is_empty() {
                return;
            }
            let keys: Vec<Key> = taken.iter().map(|wanted| wanted.key).collect();
            let Ok(views) = self.read_tasks(&keys).await else { continue };
            let mut found: HashMap<(&[u8], i64), &View> = HashMap::with_capacity(views.len());
            for view in &views {
                found.entry((view.id.as_slice(), view.cluster)).or_insert(view);
            }
            for Wanted { key, answer } in taken {
                let view = found.get(&(key.id.as_slice(), key.cluster));
                // Who does not wait any more needs no answer.
                let _ = answer.send(view.map(|view| self.open_view(View::clone(view))).transpose());
            }
        }
    }

    /// Live ones, and final ones that ended soon, in one statement, so that one which ends meanwhile is found; as they are stored.
    async fn read_tasks(&self, keys: &[Key]) -> Result<Vec<View>, Error> {
        let ids = padded(keys.iter().map(|key| key.id).collect::<BTreeSet<_>>());
        let clusters = padded(keys.iter().map(|key| key.cluster).collect::<BTreeSet<_>>());
        let marks = |count| vec!["?"; count].join(", ");
        let which = format!("WHERE t.id IN ({}) AND t.cluster IN ({})", marks(ids.len()), marks(clusters.len()));
        let times = || keys.iter().filter_map(Key::made);
        let ended = times().min().zip(times().max()).map(|(from, to)| (from + SOON.start(), to + SOON.end()));
        let when = ended.map_or("", |_| " AND t.ended BETWEEN ? AND ?");
        let sql = format!("{LIVE} {which} UNION ALL {FINAL} {which}{when}");
        both!(&self.db, pool => {
            let mut query = sqlx::query_as::<_, View>(sqlx::AssertSqlSafe(sql));
            for _part in [LIVE, FINAL] {
                for id in &ids {
                    query = query.bind(id.to_vec());
                }
                for cluster in &clusters {
                    query = query.bind(*cluster);
                }
            }
            if let Some((from, to)) = ended {
                query = query.bind(from).bind(to);
            }
            Ok(query.fetch_all(pool).await?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Key;
    use crate::model::ids::Source;

    #[test]
    fn our_ids_say_when_they_were_made_and_others_say_nothing() {
        let (before, id, after) = (Source.now_us(), Source.id(), Source.now_us());
        let made = Key { id, cluster: 1 }.made().unwrap();
        assert!((before - 1_000..=after).contains(&made), "{before} {made} {after}");
        assert_eq!(Key { id: [0x47; 16], cluster: 1 }.made(), None);
    }
}
