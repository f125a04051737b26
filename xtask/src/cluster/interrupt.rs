//! Ctrl-C while a control plane starts: what was started ends too.

use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

static STARTED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// From now on Ctrl-C ends what [`watch`] was told of, and this program.
pub(super) fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        eprintln!("interrupted: what was started is stopped");
        for id in STARTED.lock().unwrap_or_else(PoisonError::into_inner).iter().rev() {
            if let Some(pid) = i32::try_from(*id).ok().and_then(Pid::from_raw) {
                // It may have ended by itself.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        std::process::exit(130);
    })
}

/// Remembers a process.
pub(super) fn watch(id: u32) {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner).push(id);
}
