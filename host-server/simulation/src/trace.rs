//! What happened, line by line: for the person who replays a seed, and to show that a seed gives one history.

use std::{
    fmt::{Arguments, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::Instant;

/// Clones write into one text.
#[derive(Clone)]
pub(crate) struct Trace {
    began: Instant,
    /// None: nobody reads it.
    text: Option<Arc<Mutex<String>>>,
}

impl Trace {
    pub(crate) fn new(began: Instant, is_kept: bool) -> Self {
        Self { began, text: is_kept.then(Arc::default) }
    }

    pub(crate) fn say(&self, words: Arguments<'_>) {
        let Some(text) = &self.text else { return };
        let at = self.began.elapsed();
        let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
        // A String takes whatever is written.
        let _ = writeln!(text, "{:4}.{:03} {words}", at.as_secs(), at.subsec_millis());
    }

    pub(crate) fn text(&self) -> String {
        self.text.as_ref().map(|text| text.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }
}

/// The first bytes of an id: enough to tell those of one history apart.
pub(crate) fn short(id: &[u8]) -> String {
    id.iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}
