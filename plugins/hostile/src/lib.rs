//! Commands that misbehave, for tests of the sandbox and of delivery.

#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    unconditional_recursion,
    reason = "this plugin does what others must not"
)]

use claiflow_sdk::{Error, command, task};
use schemars::JsonSchema;
use serde::Deserialize;

claiflow_sdk::plugin! { name: "hostile", commands: [trap, spin, eat, recurse, large, slow] }

/// Traps.
#[command("hostile.trap", effect = "read")]
fn trap() -> Result<bool, Error> {
    panic!("as asked")
}

/// Never ends.
#[command("hostile.spin", effect = "read")]
fn spin() -> Result<bool, Error> {
    loop {
        std::hint::black_box(());
    }
}

/// Takes all memory.
#[command("hostile.eat", effect = "read")]
fn eat() -> Result<usize, Error> {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&all);
    }
}

/// Overflows its stack.
#[command("hostile.recurse", effect = "read")]
fn recurse() -> Result<u64, Error> {
    fn deeper(depth: u64) -> u64 {
        let room = std::hint::black_box([depth; 64]);
        deeper(depth + 1) + room[0]
    }
    Ok(deeper(0))
}

/// Answers too much.
#[command("hostile.large", effect = "read")]
fn large() -> Result<String, Error> {
    Ok("x".repeat(2 << 20))
}

/// How long.
#[derive(Deserialize, JsonSchema)]
struct Slow {
    ms: u64,
}

/// Takes its time.
#[command("hostile.slow", effect = "read")]
fn slow(req: Slow) -> Result<u64, Error> {
    let end = task::remaining_ms().saturating_sub(req.ms);
    while task::remaining_ms() > end {}
    Ok(req.ms)
}
