//! The agent's rooms. Only the wiring in `lifecycle` sees all of them.

pub mod config;
pub mod control;
pub mod credentials;
pub mod executor;
pub mod fetch;
pub mod grants;
pub mod health;
pub mod http;
pub mod journal;
pub mod kubernetes;
mod level;
pub mod lifecycle;
pub mod link;
pub mod metrics;
pub mod plugin;
pub mod process;
pub mod tape;
pub mod telemetry;
pub mod tools;
