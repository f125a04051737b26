//! Commands that misbehave, for tests of the sandbox and of delivery.

use claiflow_sdk::{Effect, Error, host};
use schemars::JsonSchema;
use serde::Deserialize;

claiflow_sdk::plugin! {
    name: "hostile",
    commands: [
        { name: "hostile.trap", effect: Effect::Read, summary: "Traps", run: trap },
        { name: "hostile.spin", effect: Effect::Read, summary: "Never ends", run: spin },
        { name: "hostile.eat", effect: Effect::Read, summary: "Takes all memory", run: eat },
        { name: "hostile.recurse", effect: Effect::Read, summary: "Overflows its stack", run: recurse },
        { name: "hostile.large", effect: Effect::Read, summary: "Answers too much", run: large },
        { name: "hostile.slow", effect: Effect::Read, summary: "Takes its time", run: slow },
    ]
}

/// No inputs.
#[derive(Deserialize, JsonSchema)]
pub struct Nothing {}

fn trap(_: Nothing) -> Result<bool, Error> {
    panic!("as asked")
}

fn spin(_: Nothing) -> Result<bool, Error> {
    loop {
        std::hint::black_box(());
    }
}

fn eat(_: Nothing) -> Result<usize, Error> {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&all);
    }
}

fn recurse(_: Nothing) -> Result<u64, Error> {
    fn deeper(depth: u64) -> u64 {
        let room = std::hint::black_box([depth; 64]);
        deeper(depth + 1) + room[0]
    }
    Ok(deeper(0))
}

fn large(_: Nothing) -> Result<String, Error> {
    Ok("x".repeat(2 << 20))
}

/// How long.
#[derive(Deserialize, JsonSchema)]
pub struct Slow {
    ms: u64,
}

fn slow(req: Slow) -> Result<u64, Error> {
    let end = host::remaining_ms().saturating_sub(req.ms);
    while host::remaining_ms() > end {}
    Ok(req.ms)
}
