//! What plugins say, on its way to the server: worth less than anything else that waits, and bounded.

use std::collections::{BTreeMap, VecDeque};

use claiflow_proto::agent::v1::LogLine;
use prost::Message as _;

use super::ledger::LeaseId;

/// Lines that may wait.
const LINES_MAX: usize = 1_000;
/// Their bytes on the wire.
const BYTES_MAX: usize = 256 << 10;

/// The lines that wait, over all tasks. Each is sent once or never.
#[derive(Default)]
pub(super) struct Lines {
    waiting: VecDeque<LogLine>,
    bytes: usize,
    /// How many did not fit since the last word of it, by lease; the line is the newest of them, without its text.
    dropped: BTreeMap<LeaseId, (u64, LogLine)>,
}

impl Lines {
    /// Keeps the line where it fits, and counts it where not.
    pub(super) fn push(&mut self, line: LogLine) {
        let bytes = line.encoded_len();
        // Behind a gap only the word of the gap may follow, or the order would be lost.
        let gap = self.dropped.contains_key(&line.lease_id);
        if gap || self.waiting.len() >= LINES_MAX || self.bytes + bytes > BYTES_MAX {
            let (count, newest) = self.dropped.entry(line.lease_id.clone()).or_default();
            *count += 1;
            *newest = LogLine { message: String::new(), fields: Default::default(), ..line };
            return;
        }
        self.bytes += bytes;
        self.waiting.push_back(line);
    }

    /// The next line. Where lines were dropped, one says how many when those before them are out.
    pub(super) fn pop(&mut self) -> Option<LogLine> {
        match self.waiting.pop_front() {
            Some(line) => {
                self.bytes -= line.encoded_len();
                Some(line)
            }
            None => self.dropped.pop_first().map(|(_, (count, newest))| word(count, newest)),
        }
    }

    /// The next line of one lease, before those of others.
    pub(super) fn pop_of(&mut self, lease_id: &LeaseId) -> Option<LogLine> {
        let at = self.waiting.iter().position(|line| line.lease_id == *lease_id);
        match at.and_then(|at| self.waiting.remove(at)) {
            Some(line) => {
                self.bytes -= line.encoded_len();
                Some(line)
            }
            None => self.dropped.remove(lease_id).map(|(count, newest)| word(count, newest)),
        }
    }

    /// Nobody wants to hear of the lease any more.
    pub(super) fn forget(&mut self, lease_id: &LeaseId) {
        self.dropped.remove(lease_id);
        self.waiting.retain(|line| line.lease_id != *lease_id);
        self.bytes = self.waiting.iter().map(LogLine::encoded_len).sum();
    }
}

fn word(count: u64, newest: LogLine) -> LogLine {
    let message = format!("{count} log lines were dropped: too many waited to be sent");
    LogLine { level: "warn".to_owned(), message, ..newest }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, LINES_MAX, Lines, LogLine};

    fn line(lease: &str, message: &str) -> LogLine {
        LogLine { lease_id: lease.into(), level: "info".into(), message: message.into(), ..LogLine::default() }
    }

    /// Lease, level and the first word of each line that comes out.
    fn out(next: impl FnMut() -> Option<LogLine>) -> Vec<String> {
        std::iter::from_fn(next)
            .map(|line| {
                let lease = String::from_utf8(line.lease_id).unwrap();
                format!("{lease} {} {}", line.level, line.message.split(' ').next().unwrap())
            })
            .collect()
    }

    #[test]
    fn lines_over_the_limit_are_dropped_and_one_line_says_how_many() {
        let long = "x".repeat(BYTES_MAX / 4);
        for (message, fit) in [("m", LINES_MAX), (long.as_str(), 3)] {
            let mut lines = Lines::default();
            (0..fit).for_each(|_| lines.push(line("a", message)));
            (0..5).for_each(|_| lines.push(line("a", &long)));
            lines.push(line("b", &long));
            let said = out(|| lines.pop());
            assert_eq!(said.len(), fit + 2);
            assert_eq!(said[fit..], ["a warn 5", "b warn 1"]);
            lines.push(line("a", "m"));
            assert_eq!(out(|| lines.pop()), ["a info m"], "there is room again");
        }
    }

    #[test]
    fn after_a_gap_nothing_follows_until_the_gap_was_told() {
        let mut lines = Lines::default();
        (0..=LINES_MAX).for_each(|_| lines.push(line("a", "m")));
        assert!(lines.pop().is_some());
        lines.push(line("b", "other"));
        lines.push(line("a", "late"));
        let said = out(|| lines.pop_of(&b"a".to_vec()));
        assert_eq!((said.len(), said.last().unwrap().as_str()), (LINES_MAX, "a warn 2"));
        assert_eq!(out(|| lines.pop()), ["b info other"]);
    }

    #[test]
    fn a_lease_that_is_gone_takes_its_lines_with_it() {
        let mut lines = Lines::default();
        ["a", "b", "a"].into_iter().for_each(|lease| lines.push(line(lease, "m")));
        lines.forget(&b"a".to_vec());
        assert_eq!(out(|| lines.pop()), ["b info m"]);
        assert_eq!(lines.bytes, 0);
    }
}
