//! Lists of tasks, live and final together.

use super::{
    Error, Store, plainly,
    read::{FINAL, LIVE},
    sql::{LIST_TIME, Sql, rows},
};
use crate::model::{ids::unhex, list::TaskListing, state::State, task::View};

/// An id begins with the millisecond of its creation. It is made just before `created` is read, on the same machine.
const ID_SLACK_MS: i64 = 1_000;
/// Tasks that are read by their keys in one statement. Ids and clusters are listed apart, so that it may meet their product.
const KEYS: usize = 64;
/// Ids of one uuid at most; where a uuid has more, its tasks are searched.
const IDS: i64 = 256;

/// Where tasks of an order other than their creation's are found.
const LIVE_KEYS: &str =
    " FROM task t LEFT JOIN cluster c ON c.id = t.cluster LEFT JOIN lease l ON l.task = t.id AND l.cluster = t.cluster";
const FINAL_KEYS: &str = " FROM history t LEFT JOIN cluster c ON c.id = t.cluster";
const SNAPSHOT: &str = " LEFT JOIN snapshot s ON s.id = t.snapshot";

impl Store {
    /// A page of tasks, live and final together.
    ///
    /// # Errors
    /// [`Error::TooSlow`] when the filters meet too many rows, [`Error`] of the engine.
    pub async fn tasks(&self, listing: &TaskListing) -> Result<Vec<View>, Error> {
        let listing = &TaskListing { filter: self.on_sealed(&listing.filter)?, ..listing.clone() };
        let read = async {
            if !listing.order.is_empty() || listing.offset > 0 {
                return self.tasks_in_order(listing).await;
            }
            // Final rows last: a task that finishes in between is in both, never in neither.
            let mut all = self.some_tasks(true, listing).await?;
            all.extend(self.some_tasks(false, listing).await?);
            Ok(merge(all, listing))
        };
        let read = plainly(read);
        let read = tokio::time::timeout(2 * LIST_TIME, read).await.unwrap_or(Err(Error::TooSlow));
        self.open_views(read?)
    }

    /// The server's ids that a uuid stands for, on any cluster; none where they are too many, or where only a search can tell.
    ///
    /// # Errors
    /// [`Error`] of the engine.
    pub async fn ids_of(&self, uuid: &str) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let mut sql = Sql::new(self.lists.dialect(), "SELECT DISTINCT id FROM alias WHERE uuid = ");
        sql.bind(uuid.to_owned()).push(" LIMIT ").bind(IDS + 1);
        let found: Vec<(Vec<u8>,)> = rows!(&self.lists, sql, (Vec<u8>,))?;
        let ids: Vec<Vec<u8>> = found.into_iter().map(|(id,)| id).chain(unhex(uuid).map(|id| id.to_vec())).collect();
        let few = usize::try_from(IDS).is_ok_and(|most| ids.len() <= most);
        Ok((few && !ids.is_empty()).then_some(ids))
    }

    async fn some_tasks(&self, is_live: bool, listing: &TaskListing) -> Result<Vec<View>, Error> {
        if is_elsewhere(is_live, listing) {
            return Ok(vec![]);
        }
        let mut sql = Sql::new(self.lists.dialect(), if is_live { LIVE } else { FINAL });
        sql.push(if needs_snapshot(listing) { SNAPSHOT } else { "" });
        sql.conditions(is_live, listing).creation(listing).push(" LIMIT ").bind(listing.limit);
        rows!(&self.lists, sql, View)
    }

    /// Keys in one statement, which sees each task once; then what they stand for.
    async fn tasks_in_order(&self, listing: &TaskListing) -> Result<Vec<View>, Error> {
        let dialect = self.lists.dialect();
        let mut sql = Sql::new(dialect, "SELECT id, cluster FROM (");
        let sides: Vec<bool> = [true, false].into_iter().filter(|side| !is_elsewhere(*side, listing)).collect();
        for (index, is_live) in sides.into_iter().enumerate() {
            let mut side = Sql::new(dialect, if index > 0 { " UNION ALL " } else { "" });
            side.push("SELECT * FROM (SELECT t.id, t.cluster");
            side.ordering(&listing.order).push(if is_live { LIVE_KEYS } else { FINAL_KEYS });
            side.push(if needs_snapshot(listing) { SNAPSHOT } else { "" });
            side.conditions(is_live, listing).ranked(listing, "t.");
            side.push(" LIMIT ").bind(listing.limit.saturating_add(listing.offset));
            side.push(if is_live { ") AS living" } else { ") AS ended" });
            sql.append(side);
        }
        sql.push(") AS page")
            .ranked(listing, "")
            .push(" LIMIT ")
            .bind(listing.limit)
            .push(" OFFSET ")
            .bind(listing.offset);
        let keys: Vec<(Vec<u8>, i64)> = rows!(&self.lists, sql, (Vec<u8>, i64))?;
        let mut views = Vec::with_capacity(keys.len());
        for some in keys.chunks(KEYS) {
            let mut found = Vec::with_capacity(some.len());
            // Final rows last, as above.
            for select in [LIVE, FINAL] {
                let mut sql = Sql::new(dialect, select);
                sql.push(" WHERE t.id IN (").list(some.iter().map(|(id, _)| id.clone()));
                sql.push(") AND t.cluster IN (").list(some.iter().map(|(_, cluster)| *cluster)).push(")");
                let rows: Result<Vec<View>, Error> = rows!(&self.lists, sql, View);
                found.extend(rows?);
            }
            let of = |(id, cluster): &(Vec<u8>, i64)| {
                found.iter().rev().find(|view| view.id == *id && view.cluster == *cluster).cloned()
            };
            views.extend(some.iter().filter_map(of));
        }
        Ok(views)
    }
}

/// Whether the state stands in the other table.
fn is_elsewhere(is_live: bool, listing: &TaskListing) -> bool {
    listing.state.map(State::of).is_some_and(|state| state.is_final() == is_live)
}

fn needs_snapshot(listing: &TaskListing) -> bool {
    let ordered = listing.order.iter().map(|order| order.column.name);
    listing
        .filter
        .columns()
        .into_iter()
        .chain(ordered)
        .any(|name| matches!(name, "template_uuid" | "flow" | "step_max"))
}

impl Sql {
    /// The conditions of a list, after either select.
    fn conditions(&mut self, is_live: bool, listing: &TaskListing) -> &mut Self {
        self.push(" WHERE 1 = 1");
        if let Some(cluster) = listing.cluster {
            self.push(" AND t.cluster = ").bind(cluster);
        }
        if let Some(state) = listing.state {
            match (State::of(state), is_live) {
                (State::Ready, true) => self.push(" AND t.state = 0 AND l.created IS NULL"),
                (State::Running, true) => self.push(" AND t.state = 0 AND l.created IS NOT NULL"),
                _ => self.push(" AND t.state = ").bind(i64::from(state)),
            };
        }
        if let Some(ids) = &listing.ids {
            self.push(" AND t.id IN (").list(ids.iter().cloned()).push(")");
        }
        if let Some(after) = listing.created_after {
            self.push(" AND t.created > ").bind(after);
        }
        if let Some(before) = listing.created_before {
            self.push(" AND t.created < ").bind(before);
        }
        // The bounds on `id` are what an index serves; those on `created` are exact.
        let bounds = listing.filter.created();
        if let Some(from) = listing.created_after.max(bounds.from) {
            self.push(" AND t.id >= ").bind(first_id((from / 1_000).saturating_sub(ID_SLACK_MS)));
        }
        let ends = [listing.created_before, bounds.to];
        if let Some(to) = ends.into_iter().flatten().min() {
            self.push(" AND t.id < ").bind(first_id((to / 1_000).saturating_add(ID_SLACK_MS)));
        }
        if let Some((id, cluster)) = &listing.after {
            let beyond = if listing.oldest_first { ">" } else { "<" };
            // The first condition alone is what the index serves.
            self.push(" AND t.id ").push(beyond).push("= ").bind(id.clone());
            self.push(" AND (t.id ").push(beyond).push(" ").bind(id.clone());
            self.push(" OR t.cluster ").push(beyond).push(" ").bind(*cluster).push(")");
        }
        self.and(&listing.filter)
    }

    /// The order of creation.
    fn creation(&mut self, listing: &TaskListing) -> &mut Self {
        let order = if listing.oldest_first { "" } else { " DESC" };
        self.push(" ORDER BY t.id").push(order).push(", t.cluster").push(order)
    }

    /// The order by columns that [`Self::ordering`] selected, then by creation.
    fn ranked(&mut self, listing: &TaskListing, of: &str) -> &mut Self {
        self.push(" ORDER BY ");
        for (index, order) in listing.order.iter().enumerate() {
            let side = self.ordered(order.column, index);
            self.push(&side).push(if order.descending { " DESC, " } else { ", " });
        }
        let order = if listing.oldest_first { "" } else { " DESC" };
        self.push(of).push("id").push(order).push(", ").push(of).push("cluster").push(order)
    }
}

/// The smallest id of a millisecond.
pub(super) fn first_id(ms: i64) -> Vec<u8> {
    let millisecond = ms.clamp(0, (1 << 48) - 1).to_be_bytes();
    millisecond.into_iter().skip(2).chain([0; 10]).collect()
}

/// Live and final rows in one order, each task once, a page at most.
fn merge(mut all: Vec<View>, listing: &TaskListing) -> Vec<View> {
    let key = |view: &View| (view.id.clone(), view.cluster);
    // Where a task is twice, its final row comes first and is the one that stays.
    all.sort_by_cached_key(|view| (key(view), view.ended.is_none()));
    all.dedup_by(|later, earlier| key(later) == key(earlier));
    if !listing.oldest_first {
        all.reverse();
    }
    all.truncate(usize::try_from(listing.limit).unwrap_or_default());
    all
}
