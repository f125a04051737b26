//! Rows of the first version's database as they are found: columns by name, values as text, whatever their types are.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::{
    ids::Id,
    task::{Snapshot, Task},
};

/// What is wrong with a value, one sentence; never the value itself, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Odd(pub String);

/// One row.
#[derive(Clone, Debug)]
pub struct Record {
    /// The columns that were found.
    pub columns: Arc<[String]>,
    /// Their values, in the same order: text, or the bytes of a binary column.
    pub cells: Vec<Option<Vec<u8>>>,
}

impl Record {
    /// A value; none where it is NULL or there is no such column.
    #[must_use]
    pub fn bytes(&self, column: &str) -> Option<&[u8]> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.cells.get(at)?.as_deref()
    }

    /// A text.
    ///
    /// # Errors
    /// [`Odd`] where it is not UTF-8.
    pub fn text(&self, column: &str) -> Result<Option<String>, Odd> {
        let Some(bytes) = self.bytes(column) else { return Ok(None) };
        let text = str::from_utf8(bytes).map_err(|_| Odd(format!("`{column}` is not UTF-8")))?;
        // A fixed width in a binary column is filled up with zeros.
        Ok(Some(text.trim_end_matches('\0').to_owned()))
    }

    /// A text, empty where there is none.
    ///
    /// # Errors
    /// [`Odd`] where it is not UTF-8.
    pub fn text_or_empty(&self, column: &str) -> Result<String, Odd> {
        Ok(self.text(column)?.unwrap_or_default())
    }

    /// A whole number; one that is stored as text too.
    ///
    /// # Errors
    /// [`Odd`] where it is none.
    pub fn number(&self, column: &str) -> Result<Option<i64>, Odd> {
        let Some(text) = self.text(column)?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        let whole = text.trim().split_once('.').map_or(text.trim(), |(whole, rest)| {
            if rest.bytes().all(|digit| digit == b'0') { whole } else { text.trim() }
        });
        whole.parse().map(Some).map_err(|_| Odd(format!("`{column}` is not a whole number")))
    }

    /// A time, microseconds since 1970; none where it is NULL or one of the times that mean none, the first day of the year 1 and
    /// the day 0.
    ///
    /// # Errors
    /// [`Odd`] where it is no time.
    pub fn time(&self, column: &str) -> Result<Option<i64>, Odd> {
        let Some(text) = self.text(column)?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        moment(text.trim()).map_err(|()| Odd(format!("`{column}` is not a time")))
    }

    /// Whether the row was deleted: a time of its deletion is set.
    ///
    /// # Errors
    /// [`Odd`] where the time is none.
    pub fn is_deleted(&self) -> Result<bool, Odd> {
        Ok(self.time("deleted")?.is_some())
    }
}

fn moment(text: &str) -> Result<Option<i64>, ()> {
    if text.starts_with("0000-") || text.starts_with("0001-01-01") {
        return Ok(None);
    }
    let text = text.trim_end_matches('Z').replace('T', " ");
    let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f")
        .or_else(|_| NaiveDate::parse_from_str(&text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN)))
        .map_err(|_| ())?;
    Ok(Some(time.and_utc().timestamp_micros()))
}

/// A task of the first version that has ended, as it is stored.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "columns of the history")]
pub struct Ended {
    pub id: Id,
    pub cluster: i64,
    pub uuid: String,
    pub snapshot: Id,
    pub name: String,
    pub summary: Option<String>,
    pub inputs: String,
    pub channel: Option<String>,
    pub priority: i32,
    pub state: i16,
    pub created: i64,
    pub started: Option<i64>,
    pub ended: i64,
    pub timeline: String,
    pub result: Option<String>,
    pub error: Option<String>,
}

/// A task of the first version, ready to be stored.
#[derive(Clone, Debug)]
pub enum Taken {
    /// It has ended.
    Ended(Box<Ended>, Arc<Snapshot>),
    /// It waits.
    Waits(Arc<Task>),
}

impl Taken {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> (Id, i64) {
        match self {
            Self::Ended(task, _) => (task.id, task.cluster),
            Self::Waits(task) => (task.id, task.cluster),
        }
    }

    /// What it runs, or ran.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        match self {
            Self::Ended(_, snapshot) => snapshot,
            Self::Waits(task) => &task.snapshot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Record;

    fn row(value: &[u8]) -> Record {
        Record { columns: vec!["c".to_owned()].into(), cells: vec![Some(value.to_vec())] }
    }

    #[test]
    fn times_are_read_in_every_form_and_those_that_mean_none_are_none() {
        for (text, time) in [
            ("2026-11-23 09:51:46.434999", Some(1_795_427_506_434_999)),
            ("2026-11-23T09:51:46Z", Some(1_795_427_506_000_000)),
            ("2026-11-23", Some(1_795_392_000_000_000)),
            ("0001-01-01 00:00:00", None),
            ("0000-00-00 00:00:00.000000", None),
            ("", None),
        ] {
            assert_eq!(row(text.as_bytes()).time("c"), Ok(time), "{text}");
        }
        assert!(row(b"soon").time("c").is_err());
    }

    #[test]
    fn numbers_are_read_from_text_and_a_missing_column_is_none() {
        for (text, number) in [("12", Some(12)), (" -3 ", Some(-3)), ("4.000", Some(4)), ("", None)] {
            assert_eq!(row(text.as_bytes()).number("c"), Ok(number), "{text}");
        }
        assert!(row(b"4.5").number("c").is_err());
        assert_eq!(row(b"1").number("other"), Ok(None));
        let odd = row(&[0xff, 0xfe]).text("c").unwrap_err();
        assert_eq!(odd.to_string(), "`c` is not UTF-8");
        assert_eq!(row(b"abc\0\0").text("c").unwrap().as_deref(), Some("abc"));
    }
}
