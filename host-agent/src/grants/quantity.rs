//! Sizes and durations as an operator writes them: `64Mi`, `2s`, `500ms`.

use std::time::Duration;

const SIZES: [(&str, u64); 7] =
    [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("", 1)];

const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Bytes, or what would be right.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    scaled(text, &SIZES).ok_or_else(|| format!("`{text}` is not a size; write it as 64Mi, 1Gi or 1048576"))
}

/// A duration of at least one millisecond, or what would be right.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    scaled(text, &DURATIONS)
        .filter(|&ms| ms > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is not a duration; write it as 500ms, 30s, 5m or 1h"))
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit).map(|&(_, factor)| factor)?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::{bytes, duration};
    use std::time::Duration;

    #[test]
    fn quantities_are_read_as_operators_write_them() {
        assert_eq!(bytes("64Mi"), Ok(64 << 20));
        assert_eq!(bytes("1024"), Ok(1024));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_an_example() {
        for text in ["", "Mi", "64 Mi", "-1", "1e3", "64MiB", "99999999999Gi"] {
            assert!(bytes(text).is_err_and(|message| message.contains("64Mi")), "{text}");
        }
        for text in ["", "0s", "5", "1d", "-1s", "99999999999999999999h"] {
            assert!(duration(text).is_err_and(|message| message.contains("30s")), "{text}");
        }
    }
}
