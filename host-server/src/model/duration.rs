//! Durations as people write them: Go's texts, such as `1h30m`, `10s`, `1m0s`, `250ms`.

use std::time::Duration;

/// Units in descending order, with their length in nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];

/// Reads a duration that is not negative.
///
/// # Errors
/// A sentence that says what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 10s, 5m or 1h30m");
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?);
        let unit_length = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_length);
        let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let part = Duration::try_from_secs_f64(number * Duration::from_nanos(*nanoseconds).as_secs_f64());
        sum = sum.checked_add(part.map_err(|_| wrong())?).ok_or_else(wrong)?;
        rest = next;
    }
    Ok(sum)
}

/// As Go prints it: `1m30s`, `0s`, `250ms`.
#[must_use]
pub fn text(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".into();
    }
    for (unit, length) in [("ns", 1_u128), ("µs", 1_000), ("ms", 1_000_000)] {
        if nanoseconds < length * 1_000 {
            return format!("{}{unit}", fraction(nanoseconds / length, nanoseconds % length, length));
        }
    }
    let second = 1_000_000_000;
    let (seconds, rest) = (nanoseconds / second, nanoseconds % second);
    let below = fraction(seconds % 60, rest, second);
    match (seconds / 3_600, seconds / 60 % 60) {
        (0, 0) => format!("{below}s"),
        (0, minutes) => format!("{minutes}m{below}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{below}s"),
    }
}

/// A number with as many digits behind the point as it needs.
fn fraction(whole: u128, rest: u128, of: u128) -> String {
    if rest == 0 {
        return whole.to_string();
    }
    let width = of.checked_ilog10().and_then(|digits| usize::try_from(digits).ok()).unwrap_or_default();
    format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0'))
}

/// Microseconds, as times are kept; more than fit count as the most that do.
#[must_use]
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{parse, text};
    use std::time::Duration;

    #[test]
    fn a_duration_is_read_as_go_writes_it() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("1m0s", 60_000),
            ("1h30m", 5_400_000),
            ("8760h0m0s", 8_760 * 3_600_000),
            ("250ms", 250),
            ("1.5s", 1_500),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn a_duration_is_printed_as_go_prints_it() {
        for (microseconds, printed) in [
            (0, "0s"),
            (1, "1µs"),
            (1_500, "1.5ms"),
            (250_000, "250ms"),
            (1_500_000, "1.5s"),
            (90_000_000, "1m30s"),
            (60_000_000, "1m0s"),
            (3_600_000_000, "1h0m0s"),
            (5_400_050_000, "1h30m0.05s"),
        ] {
            assert_eq!(text(Duration::from_micros(microseconds)), printed);
        }
    }

    #[test]
    fn what_is_no_duration_is_named() {
        for text in ["", "10", "s", "-1s", "1x", "1.2.3s", "1s2", "1e9s", "999999999999999999999h"] {
            let said = parse(text).unwrap_err();
            assert!(said.contains(&format!("`{text}`")) && said.contains("1h30m"), "{said}");
        }
    }
}
