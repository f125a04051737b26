//! What a list shows: filters, order, and the place where the page before ended.

use super::{
    query::{Filter, Order},
    state::State,
};

/// Rows of a resource with one key, which is also their order unless another is asked for.
#[derive(Clone, Debug, Default)]
pub struct Listing<K> {
    /// Columns and what they equal, without case.
    pub equal: Vec<(&'static str, String)>,
    /// What else holds for each row: of the resource's own columns.
    pub filter: Filter,
    /// What comes before the key in the order.
    pub order: Vec<Order>,
    /// The key of the last row of the page before.
    pub after: Option<K>,
    /// From the largest key to the smallest.
    pub descending: bool,
    /// Rows at most; none is all.
    pub limit: Option<i64>,
    /// Rows of earlier pages; only where there is a limit.
    pub offset: i64,
}

/// Tasks, in the order of their creation unless another is asked for.
#[derive(Clone, Debug, Default)]
pub struct TaskListing {
    /// Only this cluster's row.
    pub cluster: Option<i64>,
    /// Only this state.
    pub state: Option<i16>,
    /// Only tasks with one of these ids of the server: what an equality of `uuid` comes to.
    pub ids: Option<Vec<Vec<u8>>>,
    /// What else holds for each task: of the columns of `Resource::Service`.
    pub filter: Filter,
    /// Only tasks created later, microseconds since 1970.
    pub created_after: Option<i64>,
    /// Only tasks created earlier, microseconds since 1970.
    pub created_before: Option<i64>,
    /// What comes before the time of creation in the order.
    pub order: Vec<Order>,
    /// The last task of the page before: a fan-out shares one id over many clusters, so both parts are needed.
    pub after: Option<(Vec<u8>, i64)>,
    /// From the oldest to the newest.
    pub oldest_first: bool,
    /// Rows at most.
    pub limit: i64,
    /// Rows of earlier pages.
    pub offset: i64,
}

impl TaskListing {
    /// Whether no index serves the filter in this order, so that only a window of `created` keeps the read short. Final states have
    /// an index, and what is not final is little. An equality of `cluster_uuid` or `uuid` is served once it has become `cluster` or
    /// `ids`; ids are few, whatever else is asked of them.
    #[must_use]
    pub fn needs_window(&self) -> bool {
        if self.ids.is_some() {
            return false;
        }
        let served: &[&str] = if self.cluster.is_some() { &["cluster_uuid"] } else { &[] };
        let is_final = self.state.map(State::of).is_some_and(State::is_final);
        let needs_two = is_final && self.cluster.is_some();
        needs_two || !self.order.is_empty() || !self.filter.is_served(served)
    }
}
