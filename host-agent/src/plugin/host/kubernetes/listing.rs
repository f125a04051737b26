//! Lists: one page waits in the host, item by item is masked and handed over.

use std::{collections::VecDeque, sync::Arc};

use serde_json::{Value, value::RawValue};
use wasmtime::component::Resource;

use crate::{
    kubernetes::{self, Failure, Unmanaged},
    plugin::{
        bindings::claiflow::plugin::kubernetes::{ApiResource, Scope},
        state::CallState,
    },
};

use super::{
    call::{Made, shown},
    lost,
    options::{Several, options},
    several::{Wanted, places, visited, wanted},
};

/// What is handed over at once; the contract's figure.
const CHUNK_MAX_BYTES: usize = 1 << 20;

/// A list that a guest reads.
#[allow(unreachable_pub, reason = "the bindings name it")]
pub struct Listing {
    wanted: Arc<Wanted>,
    pages: kubernetes::Listing,
    /// Of the page that was read last.
    waiting: VecDeque<Box<RawValue>>,
    /// So many objects may still be handed over.
    left: u64,
    pub(super) held: usize,
}

impl CallState {
    pub(super) async fn list(
        &mut self,
        made: &mut Made,
        resource: &ApiResource,
        scope: &Scope,
        text: &str,
    ) -> Result<Resource<Listing>, Failure> {
        let cluster = self.enter()?;
        let said: Several = options(text)?;
        if said.resource_version.is_some() {
            return Err(Failure::new("invalid", "options.resource-version: a list is always the newest; leave it out"));
        }
        let wanted = wanted(&cluster, made, resource, scope, &said, self.deadline()).await?;
        let (allowed, _) = self.may_list(&wanted)?;
        let places = places(allowed.visits())?;
        let pages = kubernetes::Listing::new(wanted.served.kind.clone(), places, wanted.search());
        let left = said.limit.unwrap_or(u64::MAX);
        let listing = Listing { wanted: Arc::new(wanted), pages, waiting: VecDeque::new(), left, held: 0 };
        self.resources.push(listing).map_err(lost)
    }

    /// A page is asked for only when the one before is handed over.
    pub(super) async fn next_page(
        &mut self,
        made: &mut Made,
        resource: &Resource<Listing>,
    ) -> Result<Option<String>, Failure> {
        let cluster = self.enter()?;
        let wanted = Arc::clone(&self.resources.get(resource).map_err(lost)?.wanted);
        made.of(&wanted.served.kind);
        let (allowed, actor) = self.may_list(&wanted)?;
        loop {
            let (room, deadline) = (self.room(), self.deadline());
            let listing = self.resources.get_mut(resource).map_err(lost)?;
            listing.pages.retain(|place| visited(allowed.visits(), place));
            if listing.left == 0 {
                listing.waiting.clear();
                return self.rest(resource, None);
            }
            if listing.waiting.is_empty() {
                let most = u32::try_from(listing.left).unwrap_or(u32::MAX);
                let mut pages = listing.pages.clone();
                let (cluster, actor) = (Arc::clone(&cluster), actor.clone());
                let asked = async move {
                    let page = pages.next(&cluster, &actor, most, room, deadline).await;
                    (pages, page)
                };
                let (pages, page) = Arc::clone(&self.standing).beside(asked).await;
                let listing = self.resources.get_mut(resource).map_err(lost)?;
                listing.pages = pages;
                let Some(page) = page.map_err(shown(&allowed))? else { return self.rest(resource, None) };
                listing.waiting = page.items;
                let mut held = std::mem::take(&mut listing.held);
                self.hold(&mut held, page.bytes)?;
                self.resources.get_mut(resource).map_err(lost)?.held = held;
            }
            let listing = self.resources.get_mut(resource).map_err(lost)?;
            let chunk = listing.chunk(|object| wanted.shown(&allowed, object))?;
            if chunk.is_some() {
                return self.rest(resource, chunk);
            }
        }
    }

    /// What is handed over, once it is counted what waits.
    fn rest(&mut self, resource: &Resource<Listing>, chunk: Option<String>) -> Result<Option<String>, Failure> {
        let listing = self.resources.get_mut(resource).map_err(lost)?;
        let waiting = listing.waiting.iter().map(|item| item.get().len()).sum();
        let mut held = listing.held;
        self.memory.pass(chunk.as_ref().map_or(0, String::len));
        let room = self.hold(&mut held, waiting);
        self.resources.get_mut(resource).map_err(lost)?.held = held;
        room.map(|()| chunk)
    }
}

impl Listing {
    /// Takes items until they fill a chunk. None: none of those that waited may be seen.
    fn chunk(&mut self, shown: impl Fn(Value) -> Option<Value>) -> Result<Option<String>, Failure> {
        let mut chunk = String::new();
        while self.left > 0
            && let Some(item) = self.waiting.front()
        {
            let failed = |error| Failure::new("unavailable", format!("an object of the list is no JSON: {error}"));
            let Unmanaged(object) = serde_json::from_str(item.get()).map_err(failed)?;
            let Some(object) = shown(object) else {
                self.waiting.pop_front();
                continue;
            };
            let text = object.to_string();
            if text.len() + 2 > CHUNK_MAX_BYTES {
                self.waiting.pop_front();
                let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("an object").to_owned();
                let message = format!(
                    "`{name}` has {} bytes, and a list hands over at most {CHUNK_MAX_BYTES} at once; ask for fewer `fields`",
                    text.len()
                );
                return Err(Failure::new("too-large", message));
            }
            if chunk.len() + text.len() + 2 > CHUNK_MAX_BYTES {
                break;
            }
            chunk.push(if chunk.is_empty() { '[' } else { ',' });
            chunk.push_str(&text);
            self.waiting.pop_front();
            self.left -= 1;
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        chunk.push(']');
        Ok(Some(chunk))
    }
}
