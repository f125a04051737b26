//! Commands whose effect is a line in the agent's log, one a class, for tests that count what happened: `effect begin …` when
//! a call starts and `effect done …` when its effect is there.

use claiflow_sdk::{Context, Error, Verdict, command, log, task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

claiflow_sdk::plugin! { name: "effects", commands: [read, idempotent, verified, never] }

/// How long a call waits before it looks whether it should stop.
const PIECE_MS: u64 = 20;

/// What to do.
#[derive(Deserialize, JsonSchema)]
struct Effect {
    /// Names the effect in the log: letters, digits and `/`.
    key: String,
    /// Between begin and done.
    #[serde(default)]
    wait_ms: u64,
}

/// What was done.
#[derive(Serialize, JsonSchema)]
struct Done {
    key: String,
    /// The attempt of the task that did it.
    attempt: u32,
}

/// May happen twice: it changes nothing.
#[command("effect.read", effect = "read")]
fn read(req: Effect, context: &Context) -> Result<Done, Error> {
    happen("read", req, context)
}

/// May happen twice: the second time changes nothing.
#[command("effect.idempotent", effect = "idempotent")]
fn idempotent(req: Effect, context: &Context) -> Result<Done, Error> {
    happen("idempotent", req, context)
}

/// Is asked for before it happens again.
#[command("effect.verify", effect = "verify", verify = unknown)]
fn verified(req: Effect, context: &Context) -> Result<Done, Error> {
    happen("verify", req, context)
}

/// Must not happen twice.
#[command("effect.never", effect = "never")]
fn never(req: Effect, context: &Context) -> Result<Done, Error> {
    happen("never", req, context)
}

fn unknown(_: Effect, _: &Context) -> Result<Verdict<Done>, Error> {
    Ok(Verdict::Unknown("nothing outside the agent's log shows the effect".into()))
}

fn happen(class: &str, req: Effect, context: &Context) -> Result<Done, Error> {
    let line = |what: &str| {
        log::info(format_args!("effect {what} class={class} key={} effect_key={}", req.key, context.effect_key), &[]);
    };
    line("begin");
    let mut left = req.wait_ms;
    while left > 0 {
        task::keep_going()?;
        pause(left.min(PIECE_MS));
        left -= left.min(PIECE_MS);
    }
    line("done");
    Ok(Done { key: req.key, attempt: context.attempt })
}

#[cfg(target_family = "wasm")]
fn pause(milliseconds: u64) {
    claiflow_sdk::guest::wasi::clocks::monotonic_clock::subscribe_duration(milliseconds * 1_000_000).block();
}

#[cfg(not(target_family = "wasm"))]
fn pause(milliseconds: u64) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
}
