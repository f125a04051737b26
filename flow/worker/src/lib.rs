//! Runs jq outside of the host's own memory: in a child process that may die, hang or eat its memory alone.
//!
//! A host starts its own binary again with the argument `jq-worker` and calls [`serve`] there; [`Pool`] is the parent's
//! side.

mod evaluate;
mod fault;
mod functions;
mod message;
mod pool;
mod process;
mod serve;

pub use fault::Fault;
pub use pool::Pool;
pub use serve::serve;
