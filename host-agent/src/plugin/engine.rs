//! One wasmtime engine for all sandboxes: which wasm is accepted, where memory comes from, how a guest is made to yield.
//!
//! [`settings`] decides the compiled code, so the agent and its compile worker share it; the allocator is the agent's alone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::time::Duration;

use wasmtime::{Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, WasmFeatures};

/// Sandboxes beyond the shared slots: one reserved for each of that many plugins, and a few for `describe`.
pub(super) const RESERVED_SLOTS: usize = 16;
const DESCRIBE_SLOTS: usize = 4;

/// What a component may hold; more is refused when it is loaded.
pub(super) const CORE_INSTANCES_MAX: u32 = 64;
pub(super) const MEMORIES_MAX: u32 = 1;
pub(super) const TABLES_MAX: u32 = 8;
const TABLE_ELEMENTS_MAX: usize = 50_000;

const WASM_STACK_BYTES: usize = 512 << 10;
const HOST_STACK_BYTES: usize = 1 << 20;
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// A busy guest yields this often; a CPU budget is met within it.
const TICK: Duration = Duration::from_millis(2);
/// Ticks without a call after which the ticking thread sleeps until the next one.
const IDLE_TICKS: u32 = 100;

/// What has no switch of its own in a build without the collector.
const OFF_BY_FLAG: WasmFeatures = WasmFeatures::GC
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::THREADS);

/// Everything that decides compiled code and accepted features.
pub(super) fn settings() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config
        .concurrency_support(false)
        .wasm_component_model(true)
        .wasm_component_model_async(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .wasm_stack_switching(false)
        .wasm_features(OFF_BY_FLAG, false)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(HOST_STACK_BYTES)
        .memory_init_cow(true)
        .parallel_compilation(false);
    config
}

/// The agent's engine, and why it has no pool where the reservation failed.
///
/// # Errors
/// When the engine cannot be made at all, for instance on a processor that wasmtime does not know.
pub(super) fn open(slots: usize) -> wasmtime::Result<(Engine, Option<wasmtime::Error>)> {
    // A sandbox touches a few pages of a large memory: huge ones would make it pay for two megabytes.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("transparent huge pages stay on: {error}");
    }
    let total = u32::try_from(slots + RESERVED_SLOTS + DESCRIBE_SLOTS).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(total)
        .total_core_instances(total.saturating_mul(CORE_INSTANCES_MAX))
        .total_memories(total.saturating_mul(MEMORIES_MAX))
        .total_tables(total.saturating_mul(TABLES_MAX))
        .total_stacks(total)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_tables_per_module(TABLES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let pooled = Engine::new(settings().allocation_strategy(InstanceAllocationStrategy::Pooling(pool)));
    match pooled {
        Ok(engine) => Ok((engine, None)),
        Err(error) => Ok((Engine::new(&settings())?, Some(error))),
    }
}

/// Moves the engine's ticks while calls run, from one thread that sleeps otherwise.
pub(super) struct Ticker {
    shared: Arc<Ticking>,
    thread: std::thread::Thread,
}

struct Ticking {
    calls: AtomicUsize,
    parked: AtomicBool,
}

impl Ticker {
    /// Starts the thread; it ends with the engine or this ticker.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Ticking { calls: AtomicUsize::new(0), parked: AtomicBool::new(false) });
        let (weak, engine) = (Arc::downgrade(&shared), engine.weak());
        let handle = std::thread::Builder::new().name("ticks".into()).spawn(move || tick(&weak, &engine))?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Ticks come while the answer lives.
    pub(super) fn call(&self) -> TickedCall<'_> {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        TickedCall(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

/// One running call.
pub(super) struct TickedCall<'a>(&'a Ticking);

impl Drop for TickedCall<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(shared: &std::sync::Weak<Ticking>, engine: &EngineWeak) {
    let mut idle = 0;
    loop {
        std::thread::sleep(TICK);
        let (Some(shared), Some(engine)) = (shared.upgrade(), engine.upgrade()) else { return };
        if shared.calls.load(Ordering::SeqCst) > 0 {
            idle = 0;
            engine.increment_epoch();
            continue;
        }
        idle += 1;
        if idle < IDLE_TICKS {
            continue;
        }
        idle = 0;
        // First say so, then look again: a call that began in between has seen the flag or is seen here.
        shared.parked.store(true, Ordering::SeqCst);
        let quiet = shared.calls.load(Ordering::SeqCst) == 0;
        let parked = Arc::downgrade(&shared);
        drop((shared, engine));
        if quiet {
            std::thread::park();
        }
        if let Some(shared) = parked.upgrade() {
            shared.parked.store(false, Ordering::SeqCst);
        }
    }
}
