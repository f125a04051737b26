//! What the server speaks of: rows as they are stored, ids and times. No I/O.

pub mod duration;
pub mod former;
pub mod ids;
pub mod inventory;
pub mod lifecycle;
pub mod list;
pub mod log;
pub mod nouns;
pub mod options;
pub mod people;
pub mod predefined;
pub mod replica;
pub mod state;
pub mod statuses;
pub mod step;
pub mod task;
pub mod timing;
pub mod told;
pub mod webhook;
