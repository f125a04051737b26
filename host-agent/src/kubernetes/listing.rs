//! Lists in pages: memory stays flat however many objects there are, and the continue token stays here, since it holds names.

use std::collections::VecDeque;

use kube::api::ListParams;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Actor, Cluster, Error, Failure, Request, body::BODY_MAX_BYTES};
use crate::grants::kubernetes::{Kind, Namespace};

/// Objects of a page, where they are small.
const PAGE_MAX: u32 = 500;
/// A page over this is asked for again with half as many objects.
const PAGE_MAX_BYTES: usize = 4 << 20;

/// Which objects, beside where they are; shared by lists and watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// A label selector, as it was parsed and written again.
    pub labels: Option<String>,
    /// A field selector, likewise.
    pub fields: Option<String>,
    /// Only `metadata` of each object comes over the line.
    pub metadata_only: bool,
}

/// A list that is being read.
#[derive(Clone, Debug)]
pub struct Listing {
    kind: Kind,
    search: Search,
    visits: VecDeque<Option<Namespace>>,
    /// Where the first visit goes on.
    token: Option<String>,
    page: u32,
}

/// Objects of one namespace, or of the cluster.
#[derive(Debug)]
pub struct Page {
    /// Each an object as JSON text, as the API server sent it.
    pub items: VecDeque<Box<RawValue>>,
    /// What they hold together.
    pub bytes: usize,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMetadata,
    // An empty list of some aggregated APIs is null.
    items: Option<VecDeque<Box<RawValue>>>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue", default)]
    token: String,
}

impl Listing {
    /// A list over these places, each none for the whole cluster. Nothing is sent yet.
    #[must_use]
    pub fn new(kind: Kind, visits: impl IntoIterator<Item = Option<Namespace>>, search: Search) -> Self {
        Self { kind, search, visits: visits.into_iter().collect(), token: None, page: PAGE_MAX }
    }

    /// Leaves out the places that are not wanted any more.
    pub fn retain(&mut self, wanted: impl Fn(Option<&Namespace>) -> bool) {
        let first = self.visits.front().cloned();
        self.visits.retain(|visit| wanted(visit.as_ref()));
        if self.visits.front() != first.as_ref() {
            self.token = None;
        }
    }

    /// The next objects, at most `wanted`; none at the end. A page is read only up to `most` bytes.
    ///
    /// # Errors
    /// `gone` where the list must begin anew; `too-large` where one object alone has more than `most` bytes.
    pub async fn next(
        &mut self,
        cluster: &Cluster,
        actor: &Actor,
        wanted: u32,
        most: usize,
        deadline: Instant,
    ) -> Result<Option<Page>, Error> {
        while let Some(visit) = self.visits.front() {
            let count = self.page.min(wanted).max(1);
            let params = ListParams {
                label_selector: self.search.labels.clone(),
                field_selector: self.search.fields.clone(),
                limit: Some(count),
                continue_token: self.token.clone(),
                ..ListParams::default()
            };
            let request = Request::list(&self.kind, visit.as_ref(), &params, self.search.metadata_only)?;
            let allowed = most.min(if count > 1 { PAGE_MAX_BYTES } else { BODY_MAX_BYTES });
            let answer = match cluster.read(actor, &request, allowed, deadline).await {
                Err(Error::Failed(failure)) if failure.code == "too-large" && count > 1 => {
                    self.page = count / 2;
                    continue;
                }
                answer => answer?,
            };
            let list: List = serde_json::from_slice(&answer)
                .map_err(|error| Failure::new("unavailable", format!("the API server's answer is no list: {error}")))?;
            let items = list.items.unwrap_or_default();
            self.token = Some(list.metadata.token).filter(|token| !token.is_empty());
            if self.token.is_none() {
                self.visits.pop_front();
            }
            if !items.is_empty() {
                let bytes = items.iter().map(|item| item.get().len()).sum();
                return Ok(Some(Page { items, bytes }));
            }
        }
        Ok(None)
    }
}
