//! Log lines of one call, whichever way they come: counted, cut, cleaned of control characters, then handed to the sink.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::executor::commands::{CallSink, LogLevel};

const MESSAGE_MAX_BYTES: usize = 8 << 10;
const FIELDS_MAX: usize = 32;
const FIELD_MAX_BYTES: usize = 1 << 10;

/// Shared by the `log` import and the two standard streams.
pub(crate) struct Lines {
    sink: Arc<dyn CallSink>,
    limit: u32,
    written: AtomicU32,
}

impl Lines {
    pub(crate) fn new(sink: Arc<dyn CallSink>, limit: u32) -> Arc<Self> {
        Arc::new(Self { sink, limit, written: AtomicU32::new(0) })
    }

    /// Whether a further line would be seen.
    pub(crate) fn open(&self) -> bool {
        self.written.load(Ordering::Relaxed) < self.limit
    }

    /// Keeps the line while the budget lasts, and counts it in any case.
    pub(crate) fn write(&self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        if !self.open() {
            self.written.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.written.fetch_add(1, Ordering::Relaxed);
        let fields: Vec<_> = fields
            .iter()
            .take(FIELDS_MAX)
            .map(|(name, value)| (clean(name, FIELD_MAX_BYTES), clean(value, FIELD_MAX_BYTES)))
            .collect();
        self.sink.log(level, &clean(message, MESSAGE_MAX_BYTES), &fields);
    }

    /// Says at the end of a call how many lines were dropped.
    pub(crate) fn close(&self) {
        let dropped = self.written.load(Ordering::Relaxed).saturating_sub(self.limit);
        if dropped > 0 {
            let message = format!("{dropped} log lines over the budget of {} were dropped", self.limit);
            self.sink.log(LogLevel::Warn, &message, &[]);
        }
    }

    pub(crate) fn sink(&self) -> &Arc<dyn CallSink> {
        &self.sink
    }
}

/// Text that a terminal and a log file can show: control characters escaped, cut at `max_bytes`.
pub(crate) fn clean(text: &str, max_bytes: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(max_bytes));
    for letter in text.chars() {
        if cleaned.len() >= max_bytes {
            cleaned.push('…');
            break;
        }
        if letter.is_control() || is_invisible(letter) {
            cleaned.extend(letter.escape_default());
        } else {
            cleaned.push(letter);
        }
    }
    cleaned
}

/// Characters that reorder or hide what stands around them.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn control_characters_are_escaped_and_long_text_is_cut() {
        assert_eq!(clean("a\nb\u{1b}[31m", 100), "a\\nb\\u{1b}[31m");
        assert_eq!(clean("\u{202e}evil", 100), "\\u{202e}evil");
        assert_eq!(clean(&"é".repeat(100), 10), format!("{}…", "é".repeat(5)));
    }
}
