//! One command of each effect class, for tests of delivery. Its effect is a line in the agent's log, which outlives the
//! agent: who reads it counts how often a call took effect, and knows by the effect key which call it was.

use std::time::Duration;

use claiflow_sdk::{Applied, Context, Error, Verdict, command, log, task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

claiflow_sdk::plugin! { name: "effects", commands: [read, idempotent, verify, never] }

/// Left before the effect begins: an attempt without it had no effect.
const BEGIN: &str = "begin";
/// Left after it.
const DONE: &str = "done";

/// What to do.
#[derive(Deserialize, JsonSchema)]
pub struct Act {
    /// Stands in the log and in the outputs.
    key: String,
    /// Between begin and end of the effect.
    #[serde(default)]
    wait_ms: u64,
    /// Before the effect begins.
    #[serde(default)]
    before_ms: u64,
}

/// That it was done.
#[derive(Serialize, JsonSchema)]
pub struct Acted {
    key: String,
    /// The attempt of the task that says so: who judges a result sees whether its attempt was the task's last.
    attempt: u32,
}

/// Has an effect that nobody minds.
#[command("effect.read", effect = "read")]
pub fn read(act: Act, context: &Context) -> Result<Acted, Error> {
    wait(act.before_ms)?;
    take_effect("read", act, context)
}

/// Has an effect that may be repeated.
#[command("effect.idempotent", effect = "idempotent")]
pub fn idempotent(act: Act, context: &Context) -> Result<Acted, Error> {
    wait(act.before_ms)?;
    take_effect("idempotent", act, context)
}

/// Has an effect, and can tell by its notes whether it had it.
#[command("effect.verify", effect = "verify", verify = verified)]
pub fn verify(act: Act, context: &Context) -> Result<Acted, Error> {
    wait(act.before_ms)?;
    task::note(&BEGIN)?;
    let acted = take_effect("verify", act, context)?;
    task::note(&DONE).map_err(|error| error.applied(Applied::Yes))?;
    Ok(acted)
}

/// Has an effect that must not be repeated.
#[command("effect.never", effect = "never")]
pub fn never(act: Act, context: &Context) -> Result<Acted, Error> {
    wait(act.before_ms)?;
    take_effect("never", act, context)
}

fn verified(act: Act, context: &Context) -> Result<Verdict<Acted>, Error> {
    let noted = |word: &str| context.notes.iter().any(|note| note.as_str() == Some(word));
    Ok(if noted(DONE) {
        Verdict::Done(Acted { key: act.key, attempt: context.attempt })
    } else if noted(BEGIN) {
        Verdict::Unknown("it began, and left no word of its end".to_owned())
    } else {
        Verdict::NotDone
    })
}

fn wait(ms: u64) -> Result<(), Error> {
    task::sleep(Duration::from_millis(ms))
}

fn take_effect(class: &str, act: Act, context: &Context) -> Result<Acted, Error> {
    let (key, effect_key) = (&act.key, &context.effect_key);
    let say = |word| log::info(format_args!("effect {word} class={class} key={key} effect_key={effect_key}"), &[]);
    say("begin");
    wait(act.wait_ms).map_err(|error| error.applied(Applied::Unknown))?;
    say("done");
    Ok(Acted { key: act.key, attempt: context.attempt })
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, Context, DONE, PLUGIN};
    use claiflow_sdk::testing::Host;
    use serde_json::{Value, json};

    fn context(notes: &[&str]) -> Context {
        let mut context = Context::default();
        context.effect_key = "0a".to_owned();
        context.attempt = 2;
        context.notes = notes.iter().map(|note| Value::from(*note)).collect();
        context
    }

    #[test]
    fn each_class_says_when_its_effect_begins_and_ends() {
        for class in ["read", "idempotent", "verify", "never"] {
            let host = Host::new();
            let inputs = json!({"key": "k", "wait_ms": 20, "before_ms": 10});
            let output = PLUGIN.run_in(&context(&[]), &format!("effect.{class}"), inputs).unwrap();
            assert_eq!(output, json!({"key": "k", "attempt": 2}));
            let said: Vec<_> = host.lines().into_iter().map(|line| line.message).collect();
            let line = |word| format!("effect {word} class={class} key=k effect_key=0a");
            assert_eq!(said, [line("begin"), line("done")]);
            assert_eq!(host.slept().as_millis(), 30);
            assert_eq!(host.notes().len(), if class == "verify" { 2 } else { 0 });
        }
    }

    #[test]
    fn its_notes_tell_what_became_of_an_attempt() {
        for (notes, verdict) in [
            (&[][..], json!({"verdict": "not-done"})),
            (&[BEGIN], json!({"verdict": "unknown", "why": "it began, and left no word of its end"})),
            (&[BEGIN, DONE], json!({"verdict": "done", "output": {"key": "k", "attempt": 2}})),
        ] {
            assert_eq!(PLUGIN.verify_in(&context(notes), "effect.verify", json!({"key": "k"})).unwrap(), verdict);
        }
    }

    #[test]
    fn one_that_is_stopped_before_its_effect_had_none() {
        let host = Host::new();
        host.stop("cancelled");
        let error = PLUGIN.run("effect.never", json!({"key": "k", "before_ms": 1, "wait_ms": 1})).unwrap_err();
        assert_eq!((error.code(), error.details()), ("stopped", None));
        assert!(host.lines().is_empty());
    }
}
