//! Memory of one call: every linear memory and table of its store, and what the host holds for it, in one sum.

use wasmtime::ResourceLimiter;

use super::engine::CORE_INSTANCES_MAX;

const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();

/// Counts and refuses. A refusal traps: a guest cannot go on half-blind, and the trap carries its reason.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    limit_bytes: u64,
    held_bytes: u64,
    peak_bytes: u64,
}

/// The call asked for more memory than it may have.
#[derive(Debug, thiserror::Error)]
#[error("{wanted_bytes} bytes of memory were asked for")]
pub(super) struct MemorySpent {
    wanted_bytes: u64,
}

impl MemoryMeter {
    pub(super) fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, held_bytes: 0, peak_bytes: 0 }
    }

    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    /// What may still be held.
    pub(super) fn room_bytes(&self) -> u64 {
        self.limit_bytes.saturating_sub(self.held_bytes)
    }

    /// Host bytes that pass on to the guest: they count while they are here.
    pub(super) fn pass(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.peak_bytes = self.peak_bytes.max(self.held_bytes.saturating_add(bytes));
    }

    /// Host bytes that wait for the guest, instead of those that waited before.
    ///
    /// # Errors
    /// When there is no room for them; those of before are released all the same.
    pub(super) fn hold(&mut self, before: &mut usize, bytes: usize) -> Result<(), MemorySpent> {
        let released = u64::try_from(std::mem::take(before)).unwrap_or(u64::MAX);
        self.held_bytes = self.held_bytes.saturating_sub(released);
        let wanted_bytes = self.held_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if wanted_bytes > self.limit_bytes {
            return Err(MemorySpent { wanted_bytes });
        }
        *before = bytes;
        self.held_bytes = wanted_bytes;
        self.peak_bytes = self.peak_bytes.max(wanted_bytes);
        Ok(())
    }

    fn grow(&mut self, current: usize, desired: usize) -> wasmtime::Result<bool> {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let wanted_bytes = self.held_bytes.saturating_add(more);
        if wanted_bytes > self.limit_bytes {
            return Err(MemorySpent { wanted_bytes }.into());
        }
        self.held_bytes = wanted_bytes;
        self.peak_bytes = self.peak_bytes.max(wanted_bytes);
        Ok(true)
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current, desired)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current.saturating_mul(TABLE_ELEMENT_BYTES), desired.saturating_mul(TABLE_ELEMENT_BYTES))
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn memories(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryMeter;
    use wasmtime::ResourceLimiter;

    #[test]
    fn memories_and_tables_count_into_one_sum() {
        let mut meter = MemoryMeter::new(200);
        assert!(meter.memory_growing(0, 100, None).unwrap());
        assert!(meter.table_growing(0, 10, None).unwrap());
        assert_eq!(meter.peak_bytes(), 180);
        assert!(meter.memory_growing(100, 121, None).is_err());
        assert!(meter.memory_growing(100, 120, None).unwrap());
    }

    #[test]
    fn host_bytes_count_while_they_wait() {
        let mut meter = MemoryMeter::new(200);
        assert!(meter.memory_growing(0, 100, None).unwrap());
        let mut held = 0;
        meter.hold(&mut held, 90).unwrap();
        assert_eq!((held, meter.room_bytes()), (90, 10));
        assert!(meter.memory_growing(100, 120, None).is_err());
        assert!(meter.hold(&mut held, 101).is_err());
        assert_eq!((held, meter.room_bytes()), (0, 100), "what waited before is released");
        meter.hold(&mut held, 100).unwrap();
        meter.hold(&mut held, 0).unwrap();
        meter.pass(50);
        assert_eq!((meter.room_bytes(), meter.peak_bytes()), (100, 200));
    }
}
