//! What a flow may use; each limit has a clear error.

use std::io;

use serde_json::Value;

/// The limits of one run. [`Limits::default`] is what the language promises.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Steps of a template, inner ones included.
    pub steps: usize,
    /// Lists within lists.
    pub depth: usize,
    /// Iterations of one range.
    pub iterations: usize,
    /// Steps that one run starts, each iteration counted: ranges within ranges would otherwise multiply without end.
    pub step_runs: usize,
    /// JSON text of one step's outputs, bytes.
    pub step_output_bytes: usize,
    /// JSON text of all outputs of a task, bytes.
    pub task_output_bytes: usize,
    /// Inputs and elements of ranges that later references may still read, bytes of memory, roughly.
    pub kept_bytes: usize,
    /// A step's path, characters: it is a key of the server's table.
    pub path_chars: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 1_000,
            depth: 16,
            iterations: 10_000,
            step_runs: 100_000,
            step_output_bytes: 1 << 20,
            task_output_bytes: 16 << 20,
            kept_bytes: 64 << 20,
            path_chars: 255,
        }
    }
}

/// The length of a value's JSON text, bytes, without writing it.
pub(crate) fn text_bytes(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A value that cannot be written is larger than any limit.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// Roughly what a value takes in memory, bytes.
pub(crate) fn memory_bytes(value: &Value) -> usize {
    const NODE: usize = 32;
    NODE + match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(number) => number.as_str().len(),
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(memory_bytes).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| NODE + key.len() + memory_bytes(value)).sum(),
    }
}
