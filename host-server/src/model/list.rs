//! What a list shows: filters, order, and the place where the page before ended.

use super::people::Scope;

/// Rows of a resource with one key, which is also their order.
#[derive(Clone, Debug)]
pub struct Listing<K> {
    /// Columns and what they equal, without case.
    pub equal: Vec<(&'static str, String)>,
    /// A column, and what it must be one of: how far the caller reaches.
    pub within: Option<(&'static str, Vec<String>)>,
    /// The key of the last row of the page before.
    pub after: Option<K>,
    /// From the largest key to the smallest.
    pub descending: bool,
    /// Rows at most; none is all.
    pub limit: Option<i64>,
}

/// Tasks, in the order of their creation.
#[derive(Clone, Debug, Default)]
pub struct TaskListing {
    /// Only this cluster's row.
    pub cluster: Option<i64>,
    /// Only this state.
    pub state: Option<i16>,
    /// Only tasks with this uuid.
    pub uuid: Option<String>,
    /// Only tasks of this name, without case.
    pub name: Option<String>,
    /// Only tasks of this template.
    pub template_uuid: Option<String>,
    /// How far the caller reaches.
    pub scope: Scope,
    /// Only tasks created later, microseconds since 1970.
    pub created_after: Option<i64>,
    /// Only tasks created earlier, microseconds since 1970.
    pub created_before: Option<i64>,
    /// The last task of the page before: a fan-out shares one id over many clusters, so both parts are needed.
    pub after: Option<(Vec<u8>, i64)>,
    /// From the oldest to the newest.
    pub oldest_first: bool,
    /// Rows at most.
    pub limit: i64,
}

impl TaskListing {
    /// Whether a filter has no index, so that only a window of `created` keeps the read short.
    #[must_use]
    pub fn needs_window(&self) -> bool {
        self.state.is_some()
            || self.uuid.is_some()
            || self.name.is_some()
            || self.template_uuid.is_some()
            || self.scope.templates.is_some()
            || (self.scope.clusters.is_some() && self.cluster.is_none())
    }
}
