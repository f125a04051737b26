//! Watches: what came is masked event by event and handed over; what did not come yet waits in the connection.

use std::sync::Arc;

use serde_json::{Value, json};
use wasmtime::component::Resource;

use crate::{
    kubernetes::{Failure, Watch},
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

/// A watch that a guest reads.
#[allow(unreachable_pub, reason = "the bindings name it")]
pub struct Watching {
    wanted: Arc<Wanted>,
    watch: Watch,
    pub(super) held: usize,
}

impl CallState {
    pub(super) async fn open_watch(
        &mut self,
        made: &mut Made,
        resource: &ApiResource,
        scope: &Scope,
        text: &str,
    ) -> Result<Resource<Watching>, Failure> {
        let cluster = self.enter()?;
        let said: Several = options(text)?;
        if said.limit.is_some() {
            return Err(Failure::new("invalid", "options.limit: a watch has no end; read it as long as it is of use"));
        }
        let from = said.from()?;
        let wanted = wanted(&cluster, made, resource, scope, &said, self.deadline()).await?;
        let (allowed, actor) = self.may_watch(&wanted)?;
        let (kind, search, places) = (wanted.served.kind.clone(), wanted.search(), places(allowed.visits())?);
        let watch = Watch::open(&cluster, &actor, kind, places, search, from, self.deadline()).await;
        let watch = watch.map_err(shown(&allowed))?;
        self.resources.push(Watching { wanted: Arc::new(wanted), watch, held: 0 }).map_err(lost)
    }

    pub(super) async fn next_events(
        &mut self,
        made: &mut Made,
        resource: &Resource<Watching>,
        timeout_ms: u32,
    ) -> Result<String, Failure> {
        let cluster = self.enter()?;
        let wanted = Arc::clone(&self.resources.get(resource).map_err(lost)?.wanted);
        made.of(&wanted.served.kind);
        let (allowed, actor) = self.may_watch(&wanted)?;
        let (until, stop) = (self.until(timeout_ms), self.standing.stop.clone());
        // Who was asked to stop hears of it at once; who goes on after that waits as before.
        let stopping = stop.is_cancelled();
        let watching = self.resources.get_mut(resource).map_err(lost)?;
        watching.watch.retain(|place| visited(allowed.visits(), place));
        let mut events = Vec::new();
        while events.is_empty() {
            let came = tokio::select! {
                came = watching.watch.next(&cluster, &actor, until) => came.map_err(shown(&allowed))?,
                () = stop.cancelled(), if !stopping => break,
            };
            if came.is_empty() {
                break;
            }
            let seen = came.into_iter().filter_map(|event| {
                let object = wanted.shown(&allowed, event.object)?;
                Some(json!({"type": event.event.as_str(), "object": object}))
            });
            events = seen.collect();
        }
        let (waiting, mut held) = (watching.watch.held_bytes(), watching.held);
        let text = Value::Array(events).to_string();
        self.memory.pass(text.len());
        let room = self.hold(&mut held, waiting);
        self.resources.get_mut(resource).map_err(lost)?.held = held;
        room.map(|()| text)
    }
}
