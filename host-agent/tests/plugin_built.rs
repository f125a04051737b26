//! The plugins of this repository, as `cargo xtask build-plugin` made them: a directory named by `CLAIFLOW_TEST_PLUGINS`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::sync::Arc;

use claiflow_agent::executor::commands::{Applied, CallDone, CommandCall, Commands, LogLevel, PluginState, Verified};
use plugin_parts::{Heard, House, built, call, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn the_example_answers_as_the_readme_shows() {
    let Some(bytes) = built("example.wasm") else { return };
    let mut house = House::new();
    house.put("example.wasm", &bytes);
    house.open().await;
    assert_eq!(house.plugin("example").state, PluginState::Ready, "{:?}", house.plugin("example"));
    for (command, inputs, output) in [
        ("helloworld", r#"{"name":"world"}"#, r#""hello world""#),
        ("math_pow", r#"{"x":3,"y":2}"#, "9"),
        ("swap_command", r#"{"param1":"bar","param2":"foo"}"#, r#"{"value1":"foo","value2":"bar"}"#),
    ] {
        let done = house.call(command, inputs).await.unwrap_or_else(|failed| panic!("{command}: {failed:?}"));
        assert_eq!(done.output, output, "{command}");
    }
    assert_eq!(house.call("math_pow", r#"{"x":"three"}"#).await.unwrap_err().code, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hostile_plugin_harms_nobody_but_its_own_calls() {
    let (Some(hostile), Some(example)) = (built("hostile.wasm"), built("example.wasm")) else { return };
    let mut house = House::new();
    house.config.limits.cpu = std::time::Duration::from_millis(500);
    house.put("hostile.wasm", &hostile);
    house.put("example.wasm", &example);
    house.open().await;
    for (command, code, part) in [
        ("hostile.trap", "failed", "trapped"),
        ("hostile.spin", "budget", "CPU"),
        ("hostile.eat", "budget", "memory"),
        // A Rust guest keeps its own stack in its memory and runs off its end.
        ("hostile.recurse", "failed", "trapped"),
        ("hostile.large", "too-large", "1048576"),
    ] {
        let failed = house.call(command, "{}").await.expect_err(command);
        assert!(failed.code == code && failed.message.contains(part), "{command}: {failed:?}");
        let done = house.call("helloworld", r#"{"name":"world"}"#).await.unwrap();
        assert_eq!(done.output, r#""hello world""#, "after {command}");
    }
}

/// The messages that a call wrote, with their level.
fn said(heard: &Heard) -> Vec<(LogLevel, String)> {
    heard.lines.lock().unwrap().iter().map(|(level, message, _)| (*level, message.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_is_seen_in_the_log_and_its_call_tells_afterwards_whether_it_had_it() {
    let Some(bytes) = built("effects.wasm") else { return };
    let mut house = House::new();
    house.put("effects.wasm", &bytes);
    house.open().await;
    for class in ["read", "idempotent", "verify", "never"] {
        let heard = Arc::new(Heard::default());
        let made = call(&format!("effect.{class}"), r#"{"key":"k","wait_ms":20}"#);
        let done = house.runtime().call(CommandCall { sink: heard.clone(), ..made }).await.unwrap();
        assert_eq!(done.output, r#"{"key":"k","attempt":3}"#);
        let line = |word| (LogLevel::Info, format!("effect {word} class={class} key=k effect_key=key"));
        assert_eq!(said(&heard), [line("begin"), line("done")]);
        let notes = if class == "verify" { vec![r#""begin""#, r#""done""#] } else { vec![] };
        assert_eq!(*heard.notes.lock().unwrap(), notes);
    }
    for (notes, verdict) in [(0, "not done"), (1, "unknown"), (2, r#"done {"key":"k","attempt":3}"#)] {
        let notes = [r#""begin""#, r#""done""#].into_iter().take(notes).map(str::to_owned).collect();
        let asked = CommandCall { notes, ..call("effect.verify", r#"{"key":"k"}"#) };
        let verified = match house.runtime().verify(asked).await {
            Verified::Done(CallDone { output, .. }) => format!("done {output}"),
            Verified::NotDone => "not done".to_owned(),
            Verified::Unknown(_) => "unknown".to_owned(),
        };
        assert_eq!(verified, verdict);
    }
    // Where nobody keeps the note, there is no effect.
    let heard = Arc::new(Heard { refuses_notes: true, ..Heard::default() });
    let made = CommandCall { sink: heard.clone(), ..call("effect.verify", r#"{"key":"k"}"#) };
    let failed = house.runtime().call(made).await.unwrap_err();
    assert_eq!((failed.code.as_str(), failed.applied, said(&heard).len()), ("unavailable", Applied::No, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_that_is_stopped_half_way_says_that_nobody_can_tell() {
    let Some(bytes) = built("effects.wasm") else { return };
    let mut house = House::new();
    house.put("effects.wasm", &bytes);
    house.open().await;
    for (inputs, lines, applied) in
        [(r#"{"key":"k","before_ms":600000}"#, 0, Applied::No), (r#"{"key":"k","wait_ms":600000}"#, 1, Applied::Maybe)]
    {
        let heard = Arc::new(Heard::default());
        let made = CommandCall { sink: heard.clone(), ..call("effect.never", inputs) };
        let (stop, runtime) = (made.stop.clone(), house.runtime());
        let running = tokio::spawn(async move { runtime.call(made).await });
        eventually("the effect", async || said(&heard).len() == lines).await;
        stop.cancel();
        let failed = running.await.unwrap().unwrap_err();
        assert_eq!((failed.code.as_str(), failed.applied), ("stopped", applied), "{failed:?}");
    }
}
