//! What each budget costs a guest: the same work with the mechanism and without it, in turns. `cargo xtask bench plugins` prints it.
//!
//! The agent cannot be told to leave a budget out, so the mechanisms are switched here, on wasmtime itself.

#![allow(clippy::print_stdout, reason = "a program")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::{Config, Engine, Error, Instance, Linker, Module, ResourceLimiter, Result, Store};

/// Turns of each pair; the middle one counts.
const TURNS: usize = 9;
/// As the agent ticks.
const TICK: Duration = Duration::from_millis(2);
const LOOPS: u32 = 100_000_000;
const PAGES: u32 = 1_000;
const CALLS: u32 = 3_000_000;
const STORES: u32 = 20_000;
const READS: u32 = 1_000_000;

/// A loop with a multiplication and a store, one that grows the memory by a page, and one that calls the host.
const GUEST: &str = r#"(module
  (import "host" "call" (func $call))
  (memory 1)
  (func (export "work") (param $n i32) (local $x i32)
    (loop $again
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (local.get $n)))
      (i32.store (i32.and (local.get $x) (i32.const 0xfffc)) (local.get $n))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "grow") (param $n i32)
    (loop $again
      (drop (memory.grow (i32.const 1)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "ask") (param $n i32)
    (loop $again
      (call $call)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

/// What a store holds: the sum of its memory, and the calls of the host.
#[derive(Default)]
struct Held {
    bytes: usize,
    calls: AtomicU64,
}

impl ResourceLimiter for Held {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        self.bytes += desired - current;
        Ok(self.bytes <= 1 << 30)
    }

    fn table_growing(&mut self, _current: usize, _desired: usize, _maximum: Option<usize>) -> Result<bool> {
        Ok(true)
    }
}

/// One engine, and which budgets its stores have.
struct Stage {
    engine: Engine,
    module: Module,
    cpu: bool,
    memory: bool,
    calls: bool,
}

impl Stage {
    fn new(cpu: bool, memory: bool, calls: bool) -> Result<Self> {
        let engine = Engine::new(Config::new().epoch_interruption(cpu))?;
        let guest = wat::parse_str(GUEST).map_err(Error::new)?;
        let module = Module::new(&engine, guest)?;
        Ok(Self { engine, module, cpu, memory, calls })
    }

    fn guest(&self) -> Result<(Store<Held>, Instance)> {
        let mut store = Store::new(&self.engine, Held::default());
        if self.cpu {
            store.epoch_deadline_callback(|_| Ok(wasmtime::UpdateDeadline::Continue(1)));
            store.set_epoch_deadline(1);
        }
        if self.memory {
            store.limiter(|held| held);
        }
        let mut linker: Linker<Held> = Linker::new(&self.engine);
        if self.calls {
            linker.func_wrap("host", "call", |caller: wasmtime::Caller<'_, Held>| {
                let counted = |calls: u64| (calls < u64::MAX).then_some(calls + 1);
                let counter = &caller.data().calls;
                counter
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted)
                    .map(drop)
                    .map_err(|_| Error::msg("spent"))
            })?;
        } else {
            linker.func_wrap("host", "call", || {})?;
        }
        let instance = linker.instantiate(&mut store, &self.module)?;
        Ok((store, instance))
    }

    /// Nanoseconds of one round of an export's loop.
    fn round_ns(&self, export: &str, rounds: u32) -> Result<f64> {
        let (mut store, instance) = self.guest()?;
        let work = instance.get_typed_func::<u32, ()>(&mut store, export)?;
        let stop = Arc::new(AtomicBool::new(false));
        let ticking = self.cpu.then(|| {
            let (engine, stop) = (self.engine.clone(), stop.clone());
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(TICK);
                    engine.increment_epoch();
                }
            })
        });
        let began = Instant::now();
        work.call(&mut store, rounds)?;
        let took = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        if let Some(ticking) = ticking {
            ticking.join().map_err(|_| Error::msg("the ticks ended"))?;
        }
        Ok(took.as_secs_f64() * 1e9 / f64::from(rounds))
    }

    /// Nanoseconds of one fresh store with its instance.
    fn store_ns(&self) -> Result<f64> {
        let began = Instant::now();
        for _ in 0..STORES {
            std::hint::black_box(self.guest()?);
        }
        Ok(began.elapsed().as_secs_f64() * 1e9 / f64::from(STORES))
    }
}

/// The middle of both over all turns.
fn pair(without: impl Fn() -> Result<f64>, with: impl Fn() -> Result<f64>) -> Result<(f64, f64)> {
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        off.push(without()?);
        on.push(with()?);
    }
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Ok((middle(off), middle(on)))
}

/// Nanoseconds of a poll whose thread's CPU clock is read before and behind it, and of one without.
fn poll_ns(metered: bool) -> f64 {
    let read = || clock_gettime(ClockId::ThreadCPUTime).tv_nsec;
    let (began, mut used) = (Instant::now(), 0);
    for _ in 0..READS {
        let before = if metered { read() } else { 0 };
        std::hint::black_box(&mut used);
        used += if metered { read() - before } else { 0 };
    }
    began.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
}

fn main() -> Result<()> {
    let bare = Stage::new(false, false, false)?;
    let (cpu, memory) = (Stage::new(true, false, false)?, Stage::new(false, true, false)?);
    let (calls, all) = (Stage::new(false, false, true)?, Stage::new(true, true, true)?);
    let rows = [
        ("CPU: a round of a busy loop", pair(|| bare.round_ns("work", LOOPS), || cpu.round_ns("work", LOOPS))?),
        ("CPU: a poll of a call", pair(|| Ok(poll_ns(false)), || Ok(poll_ns(true)))?),
        ("memory: a page more", pair(|| bare.round_ns("grow", PAGES), || memory.round_ns("grow", PAGES))?),
        ("host calls: one call", pair(|| bare.round_ns("ask", CALLS), || calls.round_ns("ask", CALLS))?),
        ("all: a fresh store", pair(|| bare.store_ns(), || all.store_ns())?),
    ];
    for (what, (off, on)) in rows {
        println!("{what}\t{off:.2}\t{on:.2}");
    }
    Ok(())
}
