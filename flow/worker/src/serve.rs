//! The child: bounds itself, then answers requests on standard input until that ends.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::fd::RawFd,
    process::ExitCode,
};

use nix::errno::Errno;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use crate::{
    evaluate::Evaluator,
    message::{Answer, READY, REQUEST_BYTES, Request, framed},
};

/// The child's address space, bytes.
const MEMORY_BYTES: u64 = 256 << 20;

/// Answers requests on standard input until it ends.
#[must_use]
pub fn serve() -> ExitCode {
    // Nobody reads a worker's words: to the parent, its end says all.
    guarded().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn guarded() -> io::Result<()> {
    close_inherited()?;
    let limit = |maximum| Rlimit { current: Some(maximum), maximum: Some(maximum) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    setrlimit(Resource::As, limit(MEMORY_BYTES))?;
    setrlimit(Resource::Core, limit(0))?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    output.write_all(&[READY])?;
    output.flush()?;
    let mut evaluator = Evaluator::default();
    let mut length = [0; 4];
    loop {
        match input.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > REQUEST_BYTES {
            return Err(io::Error::other("the request is too long"));
        }
        let mut request = vec![0; length];
        input.read_exact(&mut request)?;
        let request: Request = serde_json::from_slice(&request)?;
        let outcome = evaluator.evaluate(&request);
        output.write_all(&framed(&Answer { id: request.id, outcome })?)?;
        output.flush()?;
    }
}

/// Closes the files that whoever started the parent left open for all of its descendants.
fn close_inherited() -> io::Result<()> {
    let names = fs::read_dir("/proc/self/fd")?.map(|entry| Ok(entry?.file_name()));
    for name in names.collect::<io::Result<Vec<_>>>()? {
        let Ok(descriptor) = name.to_string_lossy().parse::<RawFd>() else { continue };
        if descriptor > 2 {
            match nix::unistd::close(descriptor) {
                // The directory that was read is closed already.
                Ok(()) | Err(Errno::EBADF) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
