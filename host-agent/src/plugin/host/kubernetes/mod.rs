//! `claiflow:plugin/kubernetes`: reads of the cluster's API. Grants are read at every call, and what they mask never reaches the
//! guest.

pub(in crate::plugin::host) mod call;
mod listing;
mod log;
pub(in crate::plugin::host) mod options;
pub(in crate::plugin::host) mod pod;
mod reach;
mod several;
mod watching;

use std::sync::Arc;

use wasmtime::component::Resource;

#[allow(unreachable_pub, reason = "the bindings name it")]
pub use self::{listing::Listing, log::Log, watching::Watching};

use crate::{
    grants::kubernetes::{Access, Request as Asked},
    kubernetes::{Effect, Failure, Request, Unmanaged},
    plugin::{
        bindings::claiflow::plugin::{
            kubernetes::{ApiResource, Host, HostByteStream, HostListing, HostWatching, Object, Scope},
            types,
        },
        state::CallState,
    },
};

use self::{
    call::{Made, answer, served, shown},
    options::{Get, fields, object, objects_only, options},
};

type Answer<T> = wasmtime::Result<Result<T, types::Failure>>;

impl Host for CallState {
    async fn resources(&mut self) -> Answer<String> {
        let made = self.making("resources");
        let answer = self.reachable().await;
        self.made(&made, answer)
    }

    async fn get(&mut self, target: Object, options: String) -> Answer<String> {
        let mut made = self.making("get");
        let standing = Arc::clone(&self.standing);
        let answer = Box::pin(self.get_one(&mut made, &target, &options));
        let answer = standing.meter.in_host(answer).await;
        self.made(&made, answer)
    }

    async fn list_objects(
        &mut self,
        resource: ApiResource,
        scope: Scope,
        options: String,
    ) -> Answer<Resource<Listing>> {
        let mut made = self.making("list");
        let standing = Arc::clone(&self.standing);
        let answer = Box::pin(self.list(&mut made, &resource, &scope, &options));
        let answer = standing.meter.in_host(answer).await;
        self.made(&made, answer)
    }

    async fn watch(&mut self, resource: ApiResource, scope: Scope, options: String) -> Answer<Resource<Watching>> {
        let mut made = self.making("watch");
        let answer = Box::pin(self.open_watch(&mut made, &resource, &scope, &options)).await;
        self.made(&made, answer)
    }

    async fn read_log(&mut self, pod: Object, options: String) -> Answer<Resource<Log>> {
        let mut made = self.making("log");
        let answer = Box::pin(self.open_log(&mut made, pod, &options)).await;
        self.made(&made, answer)
    }
}

impl HostListing for CallState {
    async fn next(&mut self, listing: Resource<Listing>) -> Answer<Option<String>> {
        let mut made = self.making("list");
        let standing = Arc::clone(&self.standing);
        let answer = Box::pin(self.next_page(&mut made, &listing));
        let answer = standing.meter.in_host(answer).await;
        self.made(&made, answer)
    }

    async fn drop(&mut self, listing: Resource<Listing>) -> wasmtime::Result<()> {
        let mut held = self.resources.delete(listing)?.held;
        self.release(&mut held);
        Ok(())
    }
}

impl HostWatching for CallState {
    async fn next(&mut self, watching: Resource<Watching>, timeout_ms: u32) -> Answer<String> {
        let mut made = self.waiting("watch");
        let answer = Box::pin(self.next_events(&mut made, &watching, timeout_ms)).await;
        self.made(&made, answer)
    }

    async fn drop(&mut self, watching: Resource<Watching>) -> wasmtime::Result<()> {
        let mut held = self.resources.delete(watching)?.held;
        self.release(&mut held);
        Ok(())
    }
}

impl HostByteStream for CallState {
    async fn read(&mut self, log: Resource<Log>, max_bytes: u32, timeout_ms: u32) -> Answer<Option<Vec<u8>>> {
        let mut made = self.waiting("log");
        let answer = Box::pin(self.next_bytes(&mut made, &log, max_bytes, timeout_ms)).await;
        self.made(&made, answer)
    }

    async fn drop(&mut self, log: Resource<Log>) -> wasmtime::Result<()> {
        let mut held = self.resources.delete(log)?.held;
        self.release(&mut held);
        Ok(())
    }
}

impl CallState {
    async fn get_one(&mut self, made: &mut Made, target: &Object, text: &str) -> Result<String, Failure> {
        let cluster = self.enter()?;
        let Get { fields: wanted } = options(text)?;
        let (at, fields) = (object(target)?, fields(wanted)?);
        let served = served(&cluster, made, &target.resource, self.deadline()).await?;
        let kind = &served.kind;
        objects_only(kind)?;
        let request = Request::get(kind, &at)?;
        let access = Access { kind, request: Asked::Get { at: &at, fields: fields.as_ref() } };
        let (allowed, actor) = self.authorise(&access)?;
        let answered = cluster.ask(&actor, &request, self.room(), self.deadline()).await;
        let (Unmanaged(value), bytes) = answered.map_err(shown(&allowed))?;
        self.memory.pass(bytes);
        answer(&allowed, value, fields.as_ref(), Effect::None)
    }

    /// What waits for the guest has changed.
    pub(in crate::plugin::host) fn hold(&mut self, held: &mut usize, bytes: usize) -> Result<(), Failure> {
        self.memory.hold(held, bytes).map_err(|_| {
            Failure::new(
                "budget",
                "what the API server sent does not fit into the call's memory; read it in smaller pieces",
            )
        })
    }

    pub(in crate::plugin::host) fn release(&mut self, held: &mut usize) {
        // Nothing always fits.
        let _ = self.memory.hold(held, 0);
    }
}

/// A guest can only name what it holds; the table's word on it is final.
pub(in crate::plugin::host) fn lost(error: wasmtime::component::ResourceTableError) -> Failure {
    Failure::new("failed", format!("the call does not hold that: {error}"))
}
