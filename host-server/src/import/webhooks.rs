//! Webhooks, from the first version's rows to ours.

use serde_json::{Map, Value};

use super::{
    clear::Clear,
    resources::{Row, uuid, words},
};
use crate::model::{
    duration,
    original::{Odd, Record},
    webhook::Webhook,
};

/// Characters of a method.
const METHOD: usize = 32;
/// The timeout that is the usual one.
const USUAL: &str = "0s";

pub(super) fn webhook(record: &Record, clear: &Clear) -> Result<Row<Webhook>, Odd> {
    let mut remarks = vec![];
    let uuid = uuid(record, "uuid", &mut remarks)?;
    let (name, summary) = words(record, &uuid, &mut remarks)?;
    let created = record.time("created")?.unwrap_or_default();
    let method = record.text("method")?.filter(|method| !method.is_empty()).unwrap_or_else(|| "POST".into());
    if method.len() > METHOD || !method.is_ascii() {
        return Err(Odd(format!("`method` is not a text of up to {METHOD} ASCII characters")));
    }
    let row = Webhook {
        id: 0,
        uuid,
        name,
        summary,
        url: record.text_or_empty("url")?,
        method: method.to_ascii_uppercase(),
        headers: headers(clear.text(record, "headers")?, &mut remarks),
        timeout: timeout(record.text("timeout")?, &mut remarks),
        condition_validator: record.text("condition_validator")?.filter(|text| !text.is_empty()),
        condition_filter: record.text("condition_filter")?.filter(|text| !text.is_empty()),
        secrets: None,
        created,
        updated: record.time("updated")?.unwrap_or(created),
    };
    Ok(Row { row, remarks })
}

/// JSON of names and arrays of values; a value that stands alone is an array of one.
fn headers(text: Option<String>, remarks: &mut Vec<String>) -> Option<String> {
    let text = text.filter(|text| !text.trim().is_empty() && text.trim() != "null")?;
    let Ok(headers) = serde_json::from_str::<Map<String, Value>>(&text) else {
        remarks.push("its headers are no JSON object and were left out".into());
        return None;
    };
    let listed = |value: Value| match value {
        Value::Array(_) => value,
        single => Value::Array(vec![single]),
    };
    let headers: Map<String, Value> = headers.into_iter().map(|(name, value)| (name, listed(value))).collect();
    Some(Value::Object(headers).to_string())
}

/// A Go duration; a bare number is one of nanoseconds, as Go stores it.
fn timeout(text: Option<String>, remarks: &mut Vec<String>) -> String {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return USUAL.into() };
    let text = text.parse().map_or(text, written);
    match duration::parse(&text) {
        Ok(time) if time.is_zero() => USUAL.into(),
        Ok(_) => text,
        Err(message) => {
            remarks.push(format!("its timeout cannot be read and is the usual one: {message}"));
            USUAL.into()
        }
    }
}

/// Nanoseconds as Go writes a duration.
fn written(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    if !nanoseconds.is_multiple_of(SECOND) {
        return format!("{nanoseconds}ns");
    }
    let seconds = nanoseconds / SECOND;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::{headers, timeout};

    #[test]
    fn headers_become_arrays_and_timeouts_durations() {
        let mut remarks = vec![];
        for (stored, kept) in [
            (r#"{"X-A":["1","2"]}"#, Some(r#"{"X-A":["1","2"]}"#)),
            (r#"{"X-A":"1"}"#, Some(r#"{"X-A":["1"]}"#)),
            ("null", None),
            ("", None),
        ] {
            assert_eq!(headers(Some(stored.into()), &mut remarks).as_deref(), kept, "{stored}");
        }
        for (stored, kept) in [
            ("1m30s", "1m30s"),
            ("90000000000", "1m30s"),
            ("1500000", "1500000ns"),
            ("0", "0s"),
            ("0s", "0s"),
            ("", "0s"),
        ] {
            assert_eq!(timeout(Some(stored.into()), &mut remarks), kept, "{stored}");
        }
        assert!(remarks.is_empty());
        assert_eq!(
            (headers(Some("[]".into()), &mut remarks), timeout(Some("soon".into()), &mut remarks)),
            (None, "0s".into())
        );
        assert_eq!(remarks.len(), 2);
    }
}
