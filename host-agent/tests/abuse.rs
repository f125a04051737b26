//! Every attack of a guest on its agent, each with a neighbour beside it that must be served all the time.
//!
//! Budgets are asserted; `cargo xtask abuse` also prints the table with the neighbour's times.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of it is test"
)]

mod abuse_parts;
mod plugin_parts;

use std::{sync::Arc, time::Duration};

use abuse_parts::{Neighbour, Row, has_time};
use claiflow_agent::{
    executor::commands::{Applied, CommandCall, Commands, PluginState, Usage},
    plugin::Limits,
};
use plugin_parts::{Guest, Heard, House, answer, call, echo};

const CPU: Duration = Duration::from_millis(200);
/// Only who sleeps is ended by it: the others have the time that a busy machine takes.
const WALL: Duration = Duration::from_millis(500);
const SLEEPER: &str = "a sleeper in every slot";
const MEMORY: u64 = 8 << 20;
const OUTPUT: usize = 64 << 10;
const LINES: u32 = 100;
/// A compiler's half a minute of processor time, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

const CLOCK: &str = "import wasi:clocks/monotonic-clock@0.2.12;";
const SLEEP: &str = r#"
  (import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $sleep (param i64) (result i32)))
  (import "wasi:io/poll@0.2.12" "[method]pollable.block" (func $block (param i32)))
  (import "wasi:io/poll@0.2.12" "[method]pollable.ready" (func $ready (param i32) (result i32)))"#;
const RANDOM: &str = r#"(import "wasi:random/random@0.2.12" "get-random-bytes" (func $random (param i64 i32)))"#;
const LOG: &str = r#"(import "claiflow:plugin/log@1.0.0" "write" (func $write (param i32 i32 i32 i32 i32)))"#;
const PRINT: &str = r#"
  (import "wasi:cli/stdout@0.2.12" "get-stdout" (func $stdout (result i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush" (func $print (param i32 i32 i32 i32)))"#;
const NOTE: &str = r#"(import "claiflow:plugin/task@1.0.0" "note" (func $note (param i32 i32 i32)))"#;

fn tool() -> Guest {
    Guest::new("tool", r#"[{"name":"go","effect":"read"}]"#).pages(20)
}

/// `body` again and again, for ever.
fn forever(body: &str) -> String {
    format!("(loop $again {body} (br $again)) unreachable")
}

/// `body` so many times, and then an answer.
fn times(count: u32, body: &str) -> String {
    format!(
        "(local $left i32) (local.set $left (i32.const {count}))
         (loop $again {body} (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) {}",
        echo()
    )
}

/// Name, guest, calls at once, and the code with which each ends (`ok` for none).
fn running() -> Vec<(&'static str, Guest, usize, &'static str)> {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    vec![
        ("an endless loop", tool().run(&forever("")), 1, "budget"),
        ("a memory bomb", tool().run(&forever("(drop (memory.grow (i32.const 16)))")), 1, "budget"),
        ("a trap, fifty times", tool().run("unreachable"), 50, "failed"),
        (
            "a stack overflow",
            tool().run("(call $run (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))"),
            1,
            "failed",
        ),
        ("an answer over the limit", tool().run(&answer("(i32.const 4096)", "(i32.const 100000)")), 1, "too-large"),
        (
            "an answer of 6 MB",
            tool().pages(100).run(&answer("(i32.const 4096)", "(i32.const 6000000)")),
            1,
            "too-large",
        ),
        ("a lie about the answer's length", tool().run(&answer("(i32.const 0)", "(i32.const -1)")), 1, "failed"),
        (
            "JSON 20,000 levels deep",
            tool().items(&format!("(data (i32.const 4096) \"{deep}\")")).run(&answer("(i32.const 4096)", "(i32.const 40000)")),
            1,
            "failed",
        ),
        (SLEEPER, tool().imports(CLOCK, SLEEP).run("(call $block (call $sleep (i64.const 3600000000000))) unreachable"), 40, "budget"),
        ("a bomb of handles", tool().imports(CLOCK, SLEEP).run(&forever("(drop (call $sleep (i64.const 1000000000000)))")), 1, "failed"),
        (
            "a storm of polls",
            tool().imports(CLOCK, SLEEP).run(&format!(
                "(local $at i32) (local.set $at (call $sleep (i64.const 0))) {}",
                forever("(drop (call $ready (local.get $at)))")
            )),
            1,
            "budget",
        ),
        (
            "64 MiB of randomness at once",
            tool().imports("import wasi:random/random@0.2.12;", RANDOM).run("(call $random (i64.const 67108864) (i32.const 200)) unreachable"),
            1,
            "failed",
        ),
        ("a million log lines", tool().imports("", LOG).run(&times(1_000_000, "(call $write (i32.const 2) (i32.const 1024) (i32.const 4) (i32.const 0) (i32.const 0))")), 1, "budget"),
        (
            "a log line of 6 MB",
            tool().pages(100).imports("", LOG).run("(call $write (i32.const 2) (i32.const 1024) (i32.const 6000000) (i32.const 0) (i32.const 0)) unreachable"),
            1,
            "too-large",
        ),
        (
            "a flood of standard output",
            tool().imports("import wasi:cli/stdout@0.2.12;", PRINT).run(&format!(
                "(local $out i32) (local.set $out (call $stdout)) {}",
                forever("(call $print (local.get $out) (i32.const 1024) (i32.const 4096) (i32.const 200))")
            )),
            1,
            "budget",
        ),
        ("a thousand notes", tool().imports("", NOTE).run(&times(1_000, "(call $note (i32.const 800) (i32.const 1) (i32.const 200))")).items(r#"(data (i32.const 800) "1")"#), 1, "ok"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_guest_is_held_by_its_budgets_while_its_neighbour_is_served() {
    let mut rows = Vec::new();
    for (attack, guest, at_once, code) in running() {
        let mut house = House::new();
        house.config.limits = Limits {
            cpu: CPU,
            wall: if attack == SLEEPER { WALL } else { PATIENCE },
            memory_bytes: MEMORY,
            output_bytes: OUTPUT,
            log_lines: LINES,
            ..Limits::default()
        };
        house.put("tool.wasm", &guest.build());
        house.put("neighbour.wasm", &Guest::new("neighbour", r#"[{"name":"neighbour"}]"#).build());
        house.open().await;
        assert_eq!(house.plugin("tool").state, PluginState::Ready, "{attack}: {:?}", house.plugin("tool"));
        let neighbour = Neighbour::at_rest(house.runtime()).await;
        let calling = neighbour.calls();
        let heard = Arc::new(Heard::default());
        let (mut most, mut made) = (Usage::default(), 0);
        // As often as the neighbour needs for a figure.
        while calling.served() < abuse_parts::calls() {
            let attackers: Vec<_> = (0..at_once)
                .map(|_| {
                    let (runtime, call) = (house.runtime(), CommandCall { sink: heard.clone(), ..call("go", "{}") });
                    tokio::spawn(async move { runtime.call(call).await })
                })
                .collect();
            for attacker in attackers {
                let ended = attacker.await.unwrap();
                let (ended_as, usage) = match &ended {
                    Ok(done) => ("ok", done.usage),
                    Err(failed) => {
                        assert_eq!(failed.applied, Applied::No, "{attack}");
                        (failed.code.as_str(), failed.usage)
                    }
                };
                assert_eq!(ended_as, code, "{attack}: {ended:?}");
                most.cpu = most.cpu.max(usage.cpu);
                most.memory_bytes = most.memory_bytes.max(usage.memory_bytes);
                made += 1;
            }
        }
        // Where a machine has more to do than it can, the thread whose ticks end a poll comes late.
        let over = if has_time() { CPU / 10 } else { CPU };
        assert!(most.cpu <= CPU + over, "{attack}: {most:?}");
        assert!(most.memory_bytes <= MEMORY + MEMORY / 10, "{attack}: {most:?}");
        let lines = heard.lines.lock().unwrap().len();
        // The last line says how many were dropped.
        assert!(lines <= made * (LINES as usize + 1), "{attack}: {lines} lines");
        assert!(heard.notes.lock().unwrap().len() <= made * 16, "{attack}");
        let used = format!(
            "{} of {} ms CPU, {} of {} KiB, {} lines each",
            most.cpu.as_millis(),
            CPU.as_millis(),
            most.memory_bytes >> 10,
            MEMORY >> 10,
            lines / made
        );
        rows.push(calling.row(attack, format!("{code}, {made} calls, {at_once} at once"), used).await);
    }
    shown(&rows);
}

/// Name, guest or bytes, and a part of the reason.
fn files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let huge = |length: &str| {
        format!(
            "(i32.store (i32.const 100) (i32.const 65536)) (i32.store (i32.const 104) (i32.const {length})) (i32.const 100)"
        )
    };
    let many: Vec<String> = (0..1_000).map(|index| format!(r#"{{"name":"c{index}"}}"#)).collect();
    let instances = "(core instance (instantiate $m))".repeat(10_000);
    let instances = format!(
        r#"(component (core module $m) {instances} (instance $i) (export "claiflow:plugin/handler@1.0.0" (instance $i)))"#
    );
    let whole = tool().build();
    let mut files = vec![
        ("a truncated file", whole[..whole.len() - 1].to_vec(), "truncated"),
        ("native code under a plugin's name", b"\x7fELF native code".to_vec(), "no component"),
        (
            "an import that nobody granted",
            tool()
                .imports(
                    "import claiflow:plugin/kubernetes@1.0.0;",
                    r#"(import "claiflow:plugin/kubernetes@1.0.0" "resources" (func $f (param i32)))"#,
                )
                .build(),
            "which nobody granted",
        ),
        ("a start that loops", tool().items("(func $f (loop $l (br $l))) (start $f)").build(), "CPU budget"),
        ("a description that loops", tool().describe(&forever("")).build(), "CPU budget"),
        ("a description of 60 MB", tool().describe(&huge("60000000")).pages(960).build(), "than the 262144"),
        ("a thousand commands", Guest::new("tool", &format!("[{}]", many.join(","))).build(), "at most 512"),
        ("ten thousand instances", wat::parse_str(&instances).unwrap(), ""),
        ("another plugin's name", Guest::new("neighbour", "[]").build(), "calls the plugin `neighbour`"),
        ("a command that is taken", Guest::new("tool", r#"[{"name":"neighbour"}]"#).build(), "served it first"),
        (
            "a command that is reserved",
            Guest::new("tool", r#"[{"name":"kubernetes.pods.get.v1"}]"#).build(),
            "is reserved",
        ),
    ];
    // Half a minute of a compiler's time, which no test has: `plugin_loading.rs` holds the limits themselves.
    if has_time() {
        files.push(("a compile bomb", bomb(), "the compiler needed more than"));
    }
    files
}

/// Jumps from everywhere to everywhere, with values that are other ones on each way: some hundred KB that take a compiler longer, or
/// more memory, than it may have.
fn bomb() -> Vec<u8> {
    const BLOCKS: usize = 300;
    const LOCALS: usize = 30;
    let locals: String = (0..LOCALS).map(|local| format!("(local $l{local} i32)")).collect();
    let change: String = (0..LOCALS)
        .map(|local| format!("(local.set $l{local} (i32.add (local.get $l{local}) (local.get 0)))"))
        .collect();
    let open: String = (0..BLOCKS).map(|block| format!("(block $b{block} ")).collect();
    let targets: String = (0..BLOCKS).map(|block| format!("$b{block} ")).collect();
    let jumps = format!("(if (local.get 0) (then {change} (br_table {targets} (local.get 0))))").repeat(800);
    let close = format!("{change})").repeat(BLOCKS);
    wat::parse_str(format!(
        r#"(component (core module (func (param i32) {locals} {open} {jumps} {close})) (instance $i) (export "claiflow:plugin/handler@1.0.0" (instance $i)))"#
    ))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_attacks_is_refused_while_its_neighbour_is_served() {
    let mut rows = Vec::new();
    for (attack, bytes, part) in files() {
        let mut house = House::new();
        house.config.limits = Limits { cpu: CPU, ..Limits::default() };
        house.put("neighbour.wasm", &Guest::new("neighbour", r#"[{"name":"neighbour"}]"#).build());
        house.open().await;
        let neighbour = Neighbour::at_rest(house.runtime()).await;
        let calling = neighbour.calls();
        house.put("tool.wasm", &bytes);
        let mut inventory = house.runtime().inventory();
        let refused = inventory.wait_for(|inventory| {
            inventory.plugins.iter().any(|plugin| plugin.name == "tool" && plugin.state == PluginState::Refused)
        });
        tokio::time::timeout(PATIENCE, refused).await.expect(attack).unwrap();
        while calling.served() < abuse_parts::calls() {
            tokio::task::yield_now().await;
        }
        let entry = house.plugin("tool");
        assert!(entry.reason.contains(part), "{attack}: {}", entry.reason);
        let reason: String = entry.reason.chars().take(50).collect();
        rows.push(calling.row(attack, "refused".into(), reason).await);
    }
    shown(&rows);
}

/// The table is for `cargo xtask abuse`; a test that passes says nothing.
fn shown(rows: &[Row]) {
    if has_time() {
        abuse_parts::print(rows);
    }
}
