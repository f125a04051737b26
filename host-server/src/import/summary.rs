//! What became of every table: counts for people, and what they should look at.

use std::fmt;

/// Remarks that are kept; all are counted.
const REMARKS: usize = 100;

/// Rows of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// The table's name in the first version's database.
    pub table: String,
    /// Rows that were read.
    pub read: u64,
    /// Rows that are here now.
    pub written: u64,
    /// Rows that were here before.
    pub there: u64,
    /// Rows that had been deleted, and were not shown by the first version either.
    pub deleted: u64,
    /// Tasks that had not ended, and were left because the first version's server may still run.
    pub open: u64,
    /// Rows that were taken over with a remark.
    pub odd: u64,
    /// Rows that could not be taken over.
    pub refused: u64,
}

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Table by table, in the order of the work.
    pub counts: Vec<Count>,
    /// A sentence about each row that is odd or was refused, up to a limit.
    pub remarks: Vec<String>,
    /// Remarks beyond that limit.
    pub unsaid: u64,
    /// Tables that hold nothing which is taken over, with their rows.
    pub left: Vec<(String, u64)>,
    /// Nothing is left to be taken over.
    pub complete: bool,
}

impl Summary {
    /// Keeps a sentence about a row.
    pub(super) fn remark(&mut self, table: &str, row: &str, words: impl fmt::Display) {
        if self.remarks.len() < REMARKS {
            self.remarks.push(format!("{table} `{}`: {words}", row.escape_debug()));
        } else {
            self.unsaid += 1;
        }
    }

    /// Rows that could not be taken over.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.counts.iter().map(|count| count.refused).sum()
    }

    /// Tasks that had not ended.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.counts.iter().map(|count| count.open).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["table", "read", "written", "already there", "deleted", "open", "odd", "refused"];
        let row = |cells: [String; 8]| {
            let [table, numbers @ ..] = cells;
            let numbers = numbers.map(|number| format!("{number:>13}")).concat();
            format!("{table:<24}{numbers}")
        };
        writeln!(formatter, "{}", row(head.map(str::to_owned)))?;
        for Count { table, read, written, there, deleted, open, odd, refused } in &self.counts {
            let numbers = [read, written, there, deleted, open, odd, refused].map(u64::to_string);
            let [a, b, c, d, e, f, g] = numbers;
            writeln!(formatter, "{}", row([table.clone(), a, b, c, d, e, f, g]))?;
        }
        for (table, rows) in &self.left {
            writeln!(formatter, "{table:<24}{rows:>13}  not taken over: nothing of it is needed")?;
        }
        for remark in &self.remarks {
            writeln!(formatter, "  {remark}")?;
        }
        if self.unsaid > 0 {
            writeln!(formatter, "  and {} more", self.unsaid)?;
        }
        if self.open() > 0 {
            write!(
                formatter,
                "{} task(s) have not ended. Stop the first version's server and run the same command with --stopped: it goes on where it is.",
                self.open()
            )
        } else if self.refused() > 0 {
            write!(formatter, "{} row(s) could not be taken over; each is named above.", self.refused())
        } else {
            write!(formatter, "All is taken over. claiflow-server can start on this database.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Count, REMARKS, Summary};

    #[test]
    fn remarks_have_a_limit_and_all_are_counted() {
        let mut summary = Summary::default();
        for number in 0..REMARKS + 5 {
            summary.remark("service", &number.to_string(), "odd");
        }
        assert_eq!((summary.remarks.len(), summary.unsaid), (REMARKS, 5));
        assert!(summary.to_string().contains("and 5 more"));
    }

    #[test]
    fn the_last_line_says_what_to_do() {
        let with = |count: Count| Summary { counts: vec![count], ..Summary::default() }.to_string();
        assert!(with(Count::default()).ends_with("can start on this database."));
        assert!(with(Count { open: 2, ..Count::default() }).contains("2 task(s) have not ended. Stop"));
        assert!(with(Count { refused: 1, ..Count::default() }).contains("1 row(s) could not be taken over"));
    }
}
