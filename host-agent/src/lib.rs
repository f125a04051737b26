//! The agent's rooms. Only the wiring in the binary sees all of them.

pub mod executor;
pub mod grants;
pub mod plugin;
