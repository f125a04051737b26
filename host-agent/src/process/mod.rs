//! Programs of the agent's image, run for whoever was authorised, each through a *profile* of this room: typed arguments in, and
//! the argument vector, the environment, the files, the identity and the limits made here. Nobody outside gives a flag or a path.
//!
//! Knows no wasm and decides nothing about authority. A program ends with the call that it was started for, and with the agent.

mod call;
mod chart;
mod checked;
mod child;
mod drive;
mod failure;
mod files;
mod furnish;
mod login;
mod profile;
mod program;
mod repositories;
mod spawn;
mod starter;
mod steps;
mod values;
mod vector;
mod worker;

pub use call::Call;
pub use child::{Child, Ended, Piece};
pub use failure::Failure;
pub use login::Login;
pub use profile::Profile;
pub use program::{Order, Processes, Settings};
pub use repositories::Repository;
pub use worker::{PROCESS_WORKER, process_worker};
