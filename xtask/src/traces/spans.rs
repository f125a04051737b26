//! Spans as the collector wrote them, and what belongs to what.

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::Value;

/// One line of the collector's.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Span {
    pub(super) resource: Value,
    pub(super) trace: String,
    pub(super) span: String,
    pub(super) parent: String,
    pub(super) name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub(super) kind: i32,
    /// 0 unset, 1 ok, 2 error.
    pub(super) status: i32,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) attributes: Value,
    /// Log lines do not belong into a trace.
    pub(super) events: usize,
    /// The span ids of what it is linked with.
    pub(super) links: Vec<String>,
}

/// All that the collector took.
pub(super) fn spans(said: &str) -> Result<Vec<Span>> {
    // The last line may not be whole.
    let whole = said.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
    whole.lines().filter(|line| line.starts_with('{')).map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The one span of this name below `parent`.
pub(super) fn child<'a>(spans: &'a [Span], parent: &str, name: &str) -> Result<&'a Span> {
    let found: Vec<&Span> = spans.iter().filter(|span| span.parent == parent && span.name == name).collect();
    ensure!(found.len() == 1, "{} spans `{name}` below {parent} in {spans:#?}", found.len());
    found.first().copied().ok_or_else(|| anyhow::anyhow!("none"))
}
