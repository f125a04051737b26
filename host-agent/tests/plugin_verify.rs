//! Guests that are asked what they did, that say it themselves, and that leave notes for those who ask.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::{sync::Arc, time::Duration};

use claiflow_agent::executor::commands::{Applied, CallDone, CommandCall, Commands, PluginState, Verified};
use plugin_parts::{Guest, Heard, House, answer, call, echo, echo_context};

async fn house_of(guest: Guest) -> House {
    let mut house = House::new();
    house.config.limits.cpu = Duration::from_millis(500);
    house.put("tool.wasm", &guest.build());
    house.open().await;
    assert_eq!(house.plugin("tool").state, PluginState::Ready, "{:?}", house.plugin("tool"));
    house
}

fn tool() -> Guest {
    Guest::new("tool", r#"[{"name":"go","effect":"verify"}]"#)
}

fn data(at: usize, text: &str) -> String {
    format!(r#"(data (i32.const {at}) "{}")"#, text.replace('"', "\\\""))
}

/// Answers a text.
fn says(text: &str) -> (String, String) {
    (answer("(i32.const 300)", &format!("(i32.const {})", text.len())), data(300, text))
}

/// The verdict as a word, with what it carries.
fn shown(verified: Verified) -> String {
    match verified {
        Verified::Done(CallDone { output, .. }) => format!("done {output}"),
        Verified::NotDone => "not done".to_owned(),
        Verified::Unknown(why) => format!("unknown: {why}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_says_whether_its_call_took_effect() {
    for (said, verdict) in [
        (r#"{"verdict":"done","output":{"x":1}}"#, r#"done {"x":1}"#),
        (r#"{"verdict":"not-done"}"#, "not done"),
        (r#"{"verdict":"unknown","why":"it is gone"}"#, "unknown: it is gone"),
        (r#"{"verdict":"perhaps"}"#, "unknown: `verify` gave the verdict `perhaps`, which has no meaning"),
        (r#"{"verdict":"#, "unknown: `verify` failed: the result is not one JSON document"),
    ] {
        let (body, data) = says(said);
        let house = house_of(tool().verify(&body).items(&data)).await;
        let verified = shown(house.runtime().verify(call("go", "{}")).await);
        assert!(verified.starts_with(verdict), "{said}: {verified}");
        // The call itself is another matter.
        assert_eq!(house.call("go", r#"{"x":2}"#).await.unwrap().output, r#"{"x":2}"#);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fails_to_answer_cannot_tell() {
    let spins = "(loop $again (br $again)) unreachable";
    for (body, remaining, part) in [
        ("unreachable", 600_000, "`verify` failed: the plugin trapped"),
        (spins, 600_000, "CPU budget of 500 ms"),
        (spins, 20, "time was over"),
    ] {
        let house = house_of(tool().verify(body)).await;
        let asked = CommandCall { remaining: Duration::from_millis(remaining), ..call("go", "{}") };
        let verified = shown(house.runtime().verify(asked).await);
        assert!(verified.starts_with("unknown: ") && verified.contains(part), "{body}: {verified}");
    }
    let house = house_of(tool()).await;
    for (command, inputs, part) in [("nobody", "{}", "no plugin serves `nobody`"), ("go", "[]", "not a JSON object")] {
        let verified = shown(house.runtime().verify(call(command, inputs)).await);
        assert!(verified.starts_with("unknown: ") && verified.contains(part), "{command}: {verified}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_says_of_its_own_effect_counts() {
    for (details, applied) in [
        (r#"{"effect":"none"}"#, Applied::No),
        (r#"{"effect":"unknown","status":503}"#, Applied::Maybe),
        (r#"{"effect":"done"}"#, Applied::Maybe),
        (r#"{"status":503}"#, Applied::No),
        (r#"{"effect":7}"#, Applied::No),
    ] {
        let body = format!(
            "(i32.store8 (i32.const 64) (i32.const 1)) (i32.store (i32.const 68) (i32.const 300))
             (i32.store (i32.const 72) (i32.const 4)) (i32.store (i32.const 76) (i32.const 300))
             (i32.store (i32.const 80) (i32.const 4)) (i32.store8 (i32.const 84) (i32.const 1))
             (i32.store (i32.const 88) (i32.const 320)) (i32.store (i32.const 92) (i32.const {})) (i32.const 64)",
            details.len()
        );
        let house = house_of(tool().run(&body).items(&(data(300, "busy") + &data(320, details)))).await;
        let failed = house.call("go", "{}").await.unwrap_err();
        assert_eq!((failed.code.as_str(), failed.applied), ("busy", applied), "{details}");
        assert_eq!(failed.details.as_deref(), Some(details));
    }
}

/// Leaves its inputs as a note, 17 times or until one is refused, and answers the refusal.
fn noting() -> String {
    format!(
        "(local $left i32) (local.set $left (i32.const 17))
         (loop $again
           (call $note (local.get 2) (local.get 3) (i32.const 200))
           (if (i32.load8_u (i32.const 200)) (then (return (i32.const 200))))
           (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) {}",
        echo()
    )
}

fn noting_tool() -> Guest {
    let import = r#"(import "claiflow:plugin/task@1.0.0" "note" (func $note (param i32 i32 i32)))"#;
    tool().imports("", import).run(&noting()).verify(&noting())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_leaves_as_many_notes_as_the_contract_says_and_learns_why_one_is_refused() {
    let house = house_of(noting_tool()).await;
    let large = format!(r#"{{"x":"{}"}}"#, "y".repeat(4 << 10));
    for (earlier, inputs, refuses, kept, code) in [
        (0, r#"{"x":1}"#, false, 16, "budget"),
        (14, r#"{"x":1}"#, false, 2, "budget"),
        (0, large.as_str(), false, 0, "too-large"),
        (0, r#"{"x":1}"#, true, 0, "unavailable"),
    ] {
        let heard = Arc::new(Heard { refuses_notes: refuses, ..Heard::default() });
        let notes = vec!["1".to_owned(); earlier];
        let failed = CommandCall { sink: heard.clone(), notes, ..call("go", inputs) };
        let failed = house.runtime().call(failed).await.unwrap_err();
        assert_eq!((failed.code.as_str(), failed.applied), (code, Applied::No), "{failed:?}");
        let notes = heard.notes.lock().unwrap();
        assert_eq!(notes.len(), kept + usize::from(refuses), "{code}");
        assert!(notes.iter().all(|note| note == inputs));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_one_json_document() {
    let body = noting()
        .replace("(local.get 2) (local.get 3) (i32.const 200)", "(i32.const 1025) (i32.const 5) (i32.const 200)");
    let house = house_of(noting_tool().run(&body)).await;
    let failed = house.call("go", "{}").await.unwrap_err();
    assert_eq!(failed.code, "invalid", "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_only_asked_leaves_nothing_behind() {
    let house = house_of(noting_tool()).await;
    let heard = Arc::new(Heard::default());
    let asked = CommandCall { sink: heard.clone(), ..call("go", "{}") };
    let verified = shown(house.runtime().verify(asked).await);
    assert_eq!(verified, "unknown: `verify` failed: only a running call leaves notes");
    assert!(heard.notes.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_finds_the_notes_of_earlier_attempts_as_they_were_written() {
    let house = house_of(tool().run(&echo_context())).await;
    let notes = ["1.50", r#"{"b":1,"a":2}"#].map(str::to_owned).to_vec();
    let context = house.runtime().call(CommandCall { notes, ..call("go", "{}") }).await.unwrap().output;
    assert!(context.contains(r#""notes":[1.50,{"b":1,"a":2}]"#), "{context}");
    // What cannot be read is no reason to believe that nothing was left.
    let notes = vec!["{".to_owned()];
    let failed = house.runtime().call(CommandCall { notes, ..call("go", "{}") }).await.unwrap_err();
    assert!(failed.message.contains("not JSON"), "{failed:?}");
}
