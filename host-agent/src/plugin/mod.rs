//! Commands as WebAssembly components: loaded from a directory, kept apart in sandboxes, served through the executor's seam.
//!
//! A file goes source → surface → compile → loader → registry (`reload` drives it); a call goes runtime → gate → call.
//! Nothing of wasmtime leaves this module, and nothing of the server enters it.

mod authority;
mod bindings;
mod cache;
mod call;
mod caller;
mod clock;
mod compile;
mod config;
mod description;
mod directories;
mod engine;
mod gate;
mod host;
mod imported;
mod inspect;
mod json;
mod loader;
mod memory;
mod meter;
mod outcome;
mod own_agent;
mod pattern;
mod portrait;
mod registry;
mod reload;
mod runtime;
mod schema;
mod signature;
mod source;
mod standing;
mod state;
mod surface;
mod unfold;
mod verdict;

pub(crate) use cache::hex;
pub use cache::{CacheError, own_directory};
pub use clock::{Clock, SystemClock};
pub use compile::{COMPILE_WORKER, compile_worker};
pub use config::{Config, Identity, Limits};
pub(crate) use host::lines::clean;
pub use inspect::{InspectArgs, inspect};
pub use portrait::{CommandPortrait, ImportPortrait, Portrait, portrait};
pub use runtime::{OpenError, Runtime};
