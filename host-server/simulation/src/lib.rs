//! Both hosts in one process, under a clock, a network, disks and a database that a seed decides.
//!
//! The dispatcher, the conversation with an agent, the agent's link, its ledger, its journal and its executor are the real ones.
//! What they stand on is simulated: [`Setup::seeded`] draws templates, tasks and faults, [`history`] lets it all happen in
//! simulated time and answers which promises were broken. The same seed gives the same history, event by event.

mod agent;
mod carry;
mod chance;
mod checker;
mod clock;
mod commands;
mod database;
mod disk;
mod effects;
mod faults;
mod history;
mod net;
mod people;
mod power;
mod replica;
mod setup;
mod store;
mod tables;
mod templates;
mod trace;
mod world;

pub use history::{Parts, Story, history};
pub use setup::{Bug, Setup};
