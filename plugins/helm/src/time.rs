//! Points in time, as Helm writes them.

/// Seconds since 1970 of an RFC 3339 time; none for what is none.
pub(crate) fn unix_s(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_time = (1..=12).contains(&month) && (1..=31).contains(&day) && (1970..=9999).contains(&year);
    if !is_time || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // The calendar in years that begin with March, so that a leap day is the last one.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let seconds = (days.checked_sub(719_468)?) * 86_400 + hour * 3_600 + minute * 60 + second;
    let rest = text.get(19..)?;
    let offset = rest.trim_start_matches(|it: char| it == '.' || it.is_ascii_digit());
    if matches!(offset, "Z" | "z") {
        return Some(seconds);
    }
    let (sign, offset) = offset.split_at_checked(1)?;
    let (hours, minutes) = offset.split_once(':')?;
    let east = hours.parse::<u64>().ok()? * 3_600 + minutes.parse::<u64>().ok()? * 60;
    match sign {
        "+" => seconds.checked_sub(east),
        "-" => seconds.checked_add(east),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::unix_s;

    #[test]
    fn times_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2026-11-29T00:15:30.123456789Z", Some(1_795_911_330)),
            ("2026-11-29T01:15:30.5+01:00", Some(1_795_911_330)),
            ("2026-11-28T19:15:30-05:00", Some(1_795_911_330)),
            ("2026-11-29", None),
            ("yesterday at some time", None),
            ("", None),
        ] {
            assert_eq!(unix_s(text), seconds, "{text}");
        }
    }
}
