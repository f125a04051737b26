//! What the host links: one file per import of the contract, and WASI over nothing.

mod agent;
mod credentials;
pub(super) mod http;
pub(super) mod kubernetes;
pub(super) mod kubernetes_exec;
mod kubernetes_write;
pub(super) mod lines;
mod log;
pub(super) mod process;
mod stdio;
mod task;

use wasmtime::component::{HasSelf, Linker};

use super::{bindings::claiflow::plugin, state::CallState};

/// Links all of it. What is not here is refused when a plugin is loaded.
///
/// # Errors
/// When two interfaces define the same name.
pub(super) fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    plugin::types::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::log::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::task::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::kubernetes_types::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::kubernetes::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::kubernetes_write::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::kubernetes_exec::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::agent::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::agent_control::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::credentials::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::credentials_reveal::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::credentials_admin::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)?;
    plugin::process::add_to_linker::<CallState, HasSelf<CallState>>(linker, |state| state)
}

impl plugin::types::Host for CallState {}
impl plugin::kubernetes_types::Host for CallState {}

pub(super) use stdio::wasi;
