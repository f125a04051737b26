//! Guests that run: what they get, what they may use, and that none of them harms another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::{sync::Arc, time::Duration};

use claiflow_agent::{
    executor::commands::{Applied, CallDone, CallFailed, CommandCall, Commands, LogLevel, PluginState, Usage},
    plugin::Limits,
};
use plugin_parts::{Guest, Heard, House, PATIENCE, answer, call, echo, echo_context, eventually};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

async fn house_of(guest: Guest) -> House {
    let mut house = House::new();
    house.put("tool.wasm", &guest.build());
    house.put("neighbour.wasm", &Guest::new("neighbour", r#"[{"name":"neighbour"}]"#).build());
    house.open().await;
    assert_eq!(house.plugin("tool").state, PluginState::Ready, "{:?}", house.plugin("tool"));
    house
}

fn tool() -> Guest {
    Guest::new("tool", r#"[{"name":"go","effect":"read"}]"#)
}

/// Says that it runs, then waits until it is asked to stop, then answers its inputs.
fn waiting() -> Guest {
    let body = format!(
        "(call $progress (i64.const 1) (i64.const 2) (i32.const 0) (i32.const 0))
         (loop $again (call $stop (i32.const 128)) (br_if $again (i32.eqz (i32.load8_u (i32.const 128))))) {}",
        echo()
    );
    tool()
        .imports(
            "",
            r#"(import "claiflow:plugin/task@1.0.0" "stop-requested" (func $stop (param i32)))
               (import "claiflow:plugin/task@1.0.0" "progress" (func $progress (param i64 i64 i32 i32)))"#,
        )
        .run(&body)
}

/// A call that was seen to run.
async fn started(house: &House, inputs: &str) -> (CancellationToken, JoinHandle<Result<CallDone, CallFailed>>) {
    let heard = Arc::new(Heard::default());
    let call = CommandCall { sink: heard.clone(), ..call("go", inputs) };
    let (stop, runtime) = (call.stop.clone(), house.runtime());
    let running = tokio::spawn(async move { runtime.call(call).await });
    eventually("the first progress", async || *heard.progress.lock().unwrap() == [(1, 2, String::new())]).await;
    (stop, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_gets_its_inputs_and_its_context_and_says_what_it_used() {
    let mut house = House::new();
    house.put("tool.wasm", &tool().run(&echo_context()).build());
    house.grant("plugins: {tool: {config: {grace: 30s}}}");
    house.open().await;
    let done = house.call("go", "{}").await.unwrap();
    let context: serde_json::Value = serde_json::from_str(&done.output).unwrap();
    assert_eq!(context["task"], "0123456789abcdef0123456789abcdef");
    assert_eq!(context["step"], "2/r[17]/p");
    assert_eq!(context["attempt"].as_u64(), Some(3));
    assert_eq!(context["effect-key"], "key");
    assert_eq!(context["traceparent"], "00-trace");
    assert_eq!(context["config"]["grace"], "30s");
    assert!(context["deadline"].as_str().unwrap().ends_with('Z'));
    assert!(done.usage.cpu > Duration::ZERO && done.usage.wall >= done.usage.cpu, "{:?}", done.usage);
    assert!(done.usage.memory_bytes >= 17 * 65536, "{:?}", done.usage);
    let server = house.runtime().server_of("go").unwrap();
    assert_eq!((server.plugin.as_str(), server.digest), ("tool", house.plugin("tool").digest));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_starts_with_an_empty_memory() {
    let body = format!(
        "(if (i32.load (i32.const 512)) (then unreachable)) (i32.store (i32.const 512) (i32.const 1)) {}",
        echo()
    );
    let house = house_of(tool().run(&body)).await;
    for round in 0..50 {
        let inputs = format!(r#"{{"round":{round}}}"#);
        assert_eq!(house.call("go", &inputs).await.unwrap().output, inputs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_misbehave_fails_one_call_with_its_reason() {
    for (name, body, code, part) in [
        ("trap", "unreachable".to_owned(), "failed", "wasm `unreachable` instruction executed"),
        ("endless loop", "(loop $again (br $again)) unreachable".to_owned(), "budget", "CPU budget of 500 ms"),
        (
            "memory bomb",
            "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) unreachable".to_owned(),
            "budget",
            "memory budget of 8388608 bytes",
        ),
        (
            "stack overflow",
            "(call $run (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"
                .to_owned(),
            "failed",
            "call stack exhausted",
        ),
        ("no JSON", answer("(i32.const 1025)", "(i32.const 5)"), "failed", "not one JSON document"),
        (
            "not UTF-8",
            "(i32.store8 (i32.const 500) (i32.const 255))".to_owned() + &answer("(i32.const 500)", "(i32.const 1)"),
            "failed",
            "utf-8",
        ),
        ("too large", answer("(i32.const 100000)", "(i32.const 1100000)"), "too-large", "at most 1048576"),
        (
            "far too large",
            "(drop (memory.grow (i32.const 80)))".to_owned() + &answer("(i32.const 100000)", "(i32.const 5000000)"),
            "too-large",
            "than the 1048576",
        ),
        ("a lie about its length", answer("(i32.const 0)", "(i32.const -1)"), "failed", "out of bounds"),
        (
            "an own failure",
            answer("(i32.const 1024)", "(i32.const 4)")
                .replace("(i32.const 64) (i32.const 0)", "(i32.const 64) (i32.const 1)"),
            "{\"na",
            "",
        ),
    ] {
        let mut house = House::new();
        house.config.limits =
            Limits { cpu: Duration::from_millis(500), memory_bytes: 8 << 20, wall: PATIENCE, ..Limits::default() };
        house.put("tool.wasm", &tool().run(&body).pages(20).build());
        house.open().await;
        let failed = house.call("go", "{}").await.expect_err(name);
        assert_eq!(failed.code, code, "{name}: {failed:?}");
        assert!(failed.message.to_lowercase().contains(&part.to_lowercase()), "{name}: {failed:?}");
        assert_eq!(failed.applied, Applied::No, "{name}");
        assert!(failed.usage.wall > Duration::ZERO, "{name}: {failed:?}");
        // The plugin is not set aside for it, and the next call starts afresh.
        assert_eq!(house.plugin("tool").state, PluginState::Ready);
        assert_eq!(house.call("go", "{}").await.expect_err(name).code, code, "{name}, again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_tells_the_frames_it_came_from() {
    let guest = tool().run("(call $inner) (i32.const 64)").items("(func $inner unreachable)");
    let failed = house_of(guest).await.call("go", "{}").await.unwrap_err();
    assert!(failed.message.ends_with("in inner"), "{failed:?}");
    let details: serde_json::Value = serde_json::from_str(&failed.details.unwrap()).unwrap();
    assert_eq!(details["frames"][0], "inner");
    assert!(details["frames"].as_array().unwrap().len() >= 2, "{details}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_guest_keeps_no_neighbour_from_its_calls() {
    let house = house_of(tool().run("(loop $again (br $again)) unreachable")).await;
    let runtime = house.runtime();
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let runtime = runtime.clone();
            tokio::spawn(async move { runtime.call(call("go", "{}")).await })
        })
        .collect();
    let mut served = 0;
    while busy.iter().any(|call| !call.is_finished()) {
        house.call("neighbour", "{}").await.unwrap();
        served += 1;
    }
    assert!(served > 10, "{served} calls of the neighbour while the others burned their budget");
    for call in busy {
        assert_eq!(call.await.unwrap().unwrap_err().code, "budget");
    }
}

const SLEEP_WORLD: &str = "import wasi:clocks/monotonic-clock@0.2.12;";
const SLEEP_IMPORTS: &str = r#"
  (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $sleep (param i64) (result i32)))
  (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))"#;

#[tokio::test(flavor = "multi_thread")]
async fn waiting_costs_no_cpu_and_ends_at_the_wall_clock() {
    let guest = tool()
        .imports(SLEEP_WORLD, SLEEP_IMPORTS)
        .run("(call $block (call $sleep (i64.const 3600000000000))) unreachable");
    let mut house = House::new();
    house.config.limits = Limits { wall: Duration::from_millis(300), ..Limits::default() };
    house.put("tool.wasm", &guest.build());
    house.open().await;
    let failed = house.call("go", "{}").await.unwrap_err();
    assert_eq!(
        (failed.code.as_str(), failed.message.contains("wall-clock budget of 300 ms")),
        ("budget", true),
        "{failed:?}"
    );
    assert!(failed.usage.cpu < failed.usage.wall / 2, "{:?}", failed.usage);
    let short = CommandCall { remaining: Duration::from_millis(50), ..call("go", "{}") };
    assert_eq!(house.runtime().call(short).await.unwrap_err().code, "timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_asleep_in_every_slot_starves_nobody_and_a_dropped_call_frees_its_slot() {
    let guest = tool()
        .imports(SLEEP_WORLD, SLEEP_IMPORTS)
        .run("(call $block (call $sleep (i64.const 3600000000000))) unreachable");
    let house = house_of(guest).await;
    let runtime = house.runtime();
    for _ in 0..3 {
        let asleep: Vec<_> = (0..20)
            .map(|_| {
                let runtime = runtime.clone();
                tokio::spawn(async move { runtime.call(call("go", "{}")).await })
            })
            .collect();
        for _ in 0..20 {
            house.call("neighbour", "{}").await.unwrap();
        }
        assert!(asleep.iter().all(|call| !call.is_finished()));
        asleep.iter().for_each(tokio::task::JoinHandle::abort);
        for call in asleep {
            assert!(call.await.unwrap_err().is_cancelled());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_asks_ends_itself_when_it_is_stopped() {
    let house = house_of(waiting()).await;
    let (stop, running) = started(&house, "{}").await;
    assert!(!running.is_finished());
    stop.cancel();
    assert_eq!(running.await.unwrap().unwrap().output, "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_heed_the_stop_is_ended_after_the_grace() {
    let imports = r#"(import "claiflow:plugin/task@1.0.0" "progress" (func $progress (param i64 i64 i32 i32)))"#;
    let guest = tool().imports(SLEEP_WORLD, &format!("{SLEEP_IMPORTS}{imports}")).run(
        "(call $progress (i64.const 1) (i64.const 2) (i32.const 0) (i32.const 0))
         (call $block (call $sleep (i64.const 3600000000000))) unreachable",
    );
    let mut house = House::new();
    house.config.stop_grace = Duration::from_millis(100);
    house.put("tool.wasm", &guest.build());
    house.open().await;
    let (stop, running) = started(&house, "{}").await;
    stop.cancel();
    let failed = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap().unwrap_err();
    assert_eq!(failed.code, "stopped", "{failed:?}");
    // One that is stopped before it begins gets no sandbox.
    let late = call("go", "{}");
    late.stop.cancel();
    let failed = house.runtime().call(late).await.unwrap_err();
    assert_eq!((failed.code.as_str(), failed.usage), ("stopped", Usage::default()));
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_are_cleaned_counted_and_cut_at_their_budget() {
    // 1500 lines "\n{"name…": an escape, then text of the description.
    let guest = tool()
        .imports("", r#"(import "claiflow:plugin/log@1.0.0" "write" (func $write (param i32 i32 i32 i32 i32)))"#)
        .run(&format!(
            "(local $left i32) (local.set $left (i32.const 1500)) (i32.store8 (i32.const 1023) (i32.const 10))
             (loop $again (call $write (i32.const 3) (i32.const 1023) (i32.const 4) (i32.const 0) (i32.const 0))
               (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) {}",
            echo()
        ));
    let house = house_of(guest).await;
    let heard = Arc::new(Heard::default());
    let call = CommandCall { sink: heard.clone(), ..call("go", "{}") };
    house.runtime().call(call).await.unwrap();
    let lines = heard.lines.lock().unwrap();
    assert_eq!(lines.len(), 1001);
    assert_eq!((lines[0].0, lines[0].1.as_str()), (LogLevel::Warn, "\\n{\"n"));
    assert!(lines[1000].1.starts_with("500 log lines over the budget of 1000"), "{:?}", lines[1000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_prints_is_a_log_line() {
    let guest = tool()
        .imports(
            "import wasi:cli/stdout@0.2.12; import wasi:cli/stderr@0.2.12;",
            r#"(import "wasi:cli/stdout@0.2.12" "get-stdout" (func $stdout (result i32)))
               (import "wasi:cli/stderr@0.2.12" "get-stderr" (func $stderr (result i32)))
               (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
                 (func $print (param i32 i32 i32 i32)))"#,
        )
        .run(&format!(
            "(call $print (call $stdout) (i32.const 800) (i32.const 7) (i32.const 200))
             (call $print (call $stderr) (i32.const 803) (i32.const 4) (i32.const 200)) {}",
            echo()
        ))
        .items(r#"(data (i32.const 800) "ab\ncd\ne")"#);
    let house = house_of(guest).await;
    let heard = Arc::new(Heard::default());
    let call = CommandCall { sink: heard.clone(), ..call("go", "{}") };
    house.runtime().call(call).await.unwrap();
    let mut lines: Vec<_> =
        heard.lines.lock().unwrap().iter().map(|(level, message, _)| (*level, message.clone())).collect();
    lines.sort();
    let expected = [
        (LogLevel::Info, "ab"),
        (LogLevel::Info, "cd"),
        (LogLevel::Info, "e"),
        (LogLevel::Warn, "cd"),
        (LogLevel::Warn, "e"),
    ];
    assert_eq!(lines, expected.map(|(level, text)| (level, text.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_fail_the_schema_never_reach_the_guest() {
    let commands =
        r#"[{"name":"go","inputs":{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]}}]"#;
    let house = house_of(Guest::new("tool", commands)).await;
    assert_eq!(house.call("go", r#"{"x":2}"#).await.unwrap().output, r#"{"x":2}"#);
    for (inputs, part) in [(r#"{"x":"two"}"#, "/x"), ("{}", "x"), ("[]", "not a JSON object"), ("{", "not JSON")] {
        let failed = house.call("go", inputs).await.unwrap_err();
        assert_eq!(failed.code, "invalid", "{inputs}");
        assert!(failed.message.contains(part), "{inputs}: {failed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_finishes_on_the_version_it_began_with() {
    // It waits by asking, for as long as a busy machine takes to compile the next version.
    let mut house = House::new();
    house.config.limits.cpu = PATIENCE;
    house.put("tool.wasm", &waiting().build());
    house.open().await;
    let before = house.plugin("tool").digest;
    let (stop, running) = started(&house, r#"{"first":1}"#).await;
    house.put(
        "tool.wasm",
        &tool().run(&answer("(i32.const 300)", "(i32.const 1)")).items(r#"(data (i32.const 300) "7")"#).build(),
    );
    house
        .until("the next version", |inventory| {
            inventory.plugins.iter().any(|it| it.name == "tool" && it.digest != before)
        })
        .await;
    assert_eq!(house.call("go", "{}").await.unwrap().output, "7");
    assert!(!running.is_finished());
    std::fs::remove_file(house.mount.join("tool.wasm")).unwrap();
    eventually("the removal", async || house.call("go", "{}").await.is_err_and(|failed| failed.code == "not-found"))
        .await;
    stop.cancel();
    assert_eq!(running.await.unwrap().unwrap().output, r#"{"first":1}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_and_random_bytes_have_limits_of_their_own() {
    let bomb = tool()
        .imports(SLEEP_WORLD, SLEEP_IMPORTS)
        .run("(loop $again (drop (call $sleep (i64.const 1000000000000))) (br $again)) unreachable");
    let failed = house_of(bomb).await.call("go", "{}").await.unwrap_err();
    assert_eq!(failed.code, "failed", "{failed:?}");
    let greedy = tool()
        .imports(
            "import wasi:random/random@0.2.12;",
            r#"(import "wasi:random/random@0.2.12" "get-random-bytes" (func $random (param i64 i32)))"#,
        )
        .run("(call $random (i64.const 67108864) (i32.const 200)) unreachable");
    let failed = house_of(greedy).await.call("go", "{}").await.unwrap_err();
    assert!(failed.message.contains("65536"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_the_pool_calls_still_run() {
    let mut house = House::new();
    // 100,000 memories of 4 GiB are more than the address space of a process.
    house.config.slots = 100_000;
    house.put("tool.wasm", &tool().build());
    house.open().await;
    assert_eq!(house.call("go", "{}").await.unwrap().output, "{}");
}
