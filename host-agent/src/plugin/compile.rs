//! Compiling in a child process: a compiler that hangs or eats memory on hostile input is a process that can be ended.
//!
//! Two halves of one pipe: [`compile`] in the agent, [`compile_worker`] in the child.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, Signal, nice, set_parent_process_death_signal, setrlimit};
use wasmtime::Engine;

use super::{engine, host::lines::clean};

/// The first argument that makes the agent's program a compile worker.
pub const COMPILE_WORKER: &str = "compile-worker";

const ADDRESS_SPACE_MAX_BYTES: u64 = 2 << 30;
/// Of a small component. A bomb of 1 MiB can take minutes.
const CPU_MAX_S: u64 = 30;
/// For each further MiB: an interpreter (12 MiB of JavaScript's, 18 of Python's) takes 2 to 3 s a MiB on a busy machine.
const CPU_MORE_S_PER_MIB: u64 = 5;
/// A child that waits for a processor is not at fault; one that takes so many times its CPU time is.
const WALL_FACTOR: u64 = 6;
/// A third of what an equal would get where there is too little time for all.
const NICENESS: i32 = 5;
const WASM_MAX_BYTES: u64 = 64 << 20;
const CODE_MAX_BYTES: u64 = 512 << 20;
const REASON_MAX_BYTES: u64 = 4 << 10;

const EXIT_REFUSED: u8 = 3;

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompileError {
    /// The same bytes will fail again.
    #[error("it does not compile: {0}")]
    Refused(String),
    /// Trying again may help.
    #[error("the compile worker {0}")]
    Worker(String),
}

/// Compiles a component. Blocks; one at a time is the caller's duty.
///
/// The thread that calls this must outlive the child: the child ends with it.
///
/// # Errors
/// [`CompileError`], which says whether another try makes sense.
pub(super) fn compile(program: &Path, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    let worker = |what: &str, error: std::io::Error| CompileError::Worker(format!("{what}: {error}"));
    let mut child = Command::new(program)
        .arg(COMPILE_WORKER)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| worker(&format!("`{}` does not start", program.display()), error))?;
    let outcome = exchange(&mut child, wasm);
    if outcome.is_err() {
        // Already gone is fine: what counts is that it is not there afterwards.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| worker("cannot be waited for", error))?;
    let (code, reason) = outcome?;
    if status.success() {
        return Ok(code);
    }
    let reason = clean(reason.trim(), 1 << 10);
    if status.code() == Some(i32::from(EXIT_REFUSED)) {
        return Err(CompileError::Refused(reason));
    }
    // Over the limits the kernel or the allocator ends the child; these bytes would do it again.
    let ended = if reason.is_empty() { status.to_string() } else { format!("{status}, {reason}") };
    Err(CompileError::Refused(format!(
        "the compiler needed more than {} s of CPU or {} MiB of memory ({ended})",
        cpu_max_s(wasm.len()),
        ADDRESS_SPACE_MAX_BYTES >> 20
    )))
}

/// What a component of this size may take.
fn cpu_max_s(wasm_bytes: usize) -> u64 {
    let mebibytes = u64::try_from(wasm_bytes >> 20).unwrap_or(u64::MAX);
    CPU_MAX_S.saturating_add(CPU_MORE_S_PER_MIB.saturating_mul(mebibytes))
}

fn exchange(child: &mut Child, wasm: &[u8]) -> Result<(Vec<u8>, String), CompileError> {
    let missing = || CompileError::Worker("has no pipes".into());
    let (mut stdin, stdout) = child.stdin.take().zip(child.stdout.take()).ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || sender.send(read(stdout, CODE_MAX_BYTES)));
        let reason = scope.spawn(move || read(stderr, REASON_MAX_BYTES));
        // A child that refuses early closes its end; its reason says more than the broken pipe.
        scope.spawn(move || stdin.write_all(wasm));
        let wall_max_s = cpu_max_s(wasm.len()).saturating_mul(WALL_FACTOR);
        let code = receiver.recv_timeout(Duration::from_secs(wall_max_s)).map_err(|_| {
            // Ends the readers and the writer too, which this scope waits for.
            let _ = child.kill();
            CompileError::Refused(format!("the compiler took longer than {wall_max_s} s"))
        })?;
        let code = code.map_err(|error| CompileError::Worker(format!("sent no code: {error}")))?;
        let reason = reason.join().ok().and_then(Result::ok).unwrap_or_default();
        Ok((code, String::from_utf8_lossy(&reason).into_owned()))
    })
}

fn read(from: impl Read, max_bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(max_bytes).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The child: limits itself, reads a component from standard input, writes code to standard output.
///
/// Reads no file, no variable and no argument. A refusal is one line on standard error and the exit code 3.
pub fn compile_worker() -> ExitCode {
    match limit_self().and_then(|()| translate()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stage::Refused(reason)) => {
            let _ = writeln!(std::io::stderr(), "{reason}");
            ExitCode::from(EXIT_REFUSED)
        }
        Err(Stage::Broken(reason)) => {
            let _ = writeln!(std::io::stderr(), "{reason}");
            ExitCode::FAILURE
        }
    }
}

enum Stage {
    Refused(String),
    Broken(String),
}

fn limit_self() -> Result<(), Stage> {
    let broken = |error: rustix::io::Errno| Stage::Broken(format!("cannot limit itself: {error}"));
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(broken)?;
    limit(Resource::As, ADDRESS_SPACE_MAX_BYTES)?;
    limit(Resource::Cpu, cpu_max_s(usize::try_from(WASM_MAX_BYTES).unwrap_or(usize::MAX)))?;
    limit(Resource::Core, 0)?;
    // Calls that run meanwhile come first.
    nice(NICENESS).map_err(broken)?;
    // Where /proc is not writable the limits above still hold.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(())
}

fn limit(resource: Resource, most: u64) -> Result<(), Stage> {
    setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
        .map_err(|error| Stage::Broken(format!("cannot limit itself: {error}")))
}

fn translate() -> Result<(), Stage> {
    let mut wasm = Vec::new();
    let broken = |error: std::io::Error| Stage::Broken(error.to_string());
    std::io::stdin().lock().take(WASM_MAX_BYTES + 1).read_to_end(&mut wasm).map_err(broken)?;
    // Less than the most, and nothing of the component was looked at so far.
    limit(Resource::Cpu, cpu_max_s(wasm.len()))?;
    let engine = Engine::new(&engine::settings()).map_err(|error| Stage::Broken(format!("{error:#}")))?;
    let code = engine.precompile_component(&wasm).map_err(|error| Stage::Refused(format!("{error:#}")))?;
    let mut out = std::io::stdout().lock();
    out.write_all(&code).and_then(|()| out.flush()).map_err(broken)
}
