//! Between the agent and a program: limits itself, ties its life to the agent's, and becomes the program.

use std::{
    ffi::OsString,
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};

/// The first argument that makes the agent's program this one; the agent's process id, the program and its arguments follow.
pub const PROCESS_WORKER: &str = "process-worker";

/// Go reserves far more than it uses.
const ADDRESS_SPACE_MAX_BYTES: u64 = 8 << 30;
const CPU_MAX_S: u64 = 600;
const FILE_MAX_BYTES: u64 = 256 << 20;
const FILES_MAX: u64 = 1_024;
const EXIT_BROKEN: u8 = 125;

/// Becomes the program. Comes back only where that fails: one line on standard error and the exit code 125.
#[must_use]
pub fn process_worker() -> ExitCode {
    let mut arguments = std::env::args_os().skip(2);
    let (Some(agent), Some(program)) = (arguments.next(), arguments.next()) else {
        return broken("it is started by the agent alone");
    };
    if let Err(error) = confine(&agent) {
        return broken(&error);
    }
    let error = Command::new(&program).args(arguments).exec();
    broken(&format!("{} cannot be run: {error}", program.to_string_lossy()))
}

fn confine(agent: &OsString) -> Result<(), String> {
    let cannot = |error: rustix::io::Errno| format!("cannot limit itself: {error}");
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(cannot)?;
    // An agent that ended before that is not waited for.
    let parent = agent.to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
    if parent.is_none() || getppid() != parent {
        return Err("the agent is gone".to_owned());
    }
    for (resource, most) in [
        (Resource::As, ADDRESS_SPACE_MAX_BYTES),
        (Resource::Cpu, CPU_MAX_S),
        (Resource::Fsize, FILE_MAX_BYTES),
        (Resource::Nofile, FILES_MAX),
        (Resource::Core, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).map_err(cannot)?;
    }
    Ok(())
}

fn broken(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{PROCESS_WORKER}: {why}");
    ExitCode::from(EXIT_BROKEN)
}
