//! `http.rateLimit`: how many calls one caller may make.

use super::{Error, keys::Settings};
use crate::model::rate::Rate;

const PER_SECOND: &str = "http.rateLimit.perSecond";
const BURST: &str = "http.rateLimit.burst";

/// The rate; none where it was set to 0.
///
/// # Errors
/// [`Error::Value`].
pub(super) fn read(settings: &Settings) -> Result<Option<Rate>, Error> {
    let number =
        |key, range| Ok::<_, Error>(settings.number(key, range)?.and_then(|number| u32::try_from(number).ok()));
    let usual = Rate::default();
    let per_second = number(PER_SECOND, 0..=1_000_000)?.unwrap_or(usual.per_second);
    // Without a burst of its own, a higher rate has a higher one.
    let burst = number(BURST, 10..=10_000_000)?.unwrap_or_else(|| per_second.saturating_mul(5).max(usual.burst));
    Ok((per_second > 0).then_some(Rate { per_second, burst }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use crate::model::rate::Rate;

    #[test]
    fn callers_are_limited_unless_it_is_switched_off() {
        for (yaml, rate) in [
            ("", Some(Rate::default())),
            ("http: {rateLimit: {perSecond: 2000}}", Some(Rate { per_second: 2_000, burst: 10_000 })),
            ("http: {rateLimit: {perSecond: 5, burst: 10}}", Some(Rate { per_second: 5, burst: 10 })),
            ("http: {rateLimit: {perSecond: 0}}", None),
        ] {
            assert_eq!(read(yaml).unwrap().rate, rate, "{yaml}");
        }
        for yaml in ["http: {rateLimit: {perSecond: many}}", "http: {rateLimit: {burst: 0}}"] {
            let error = read(yaml).unwrap_err();
            assert!(error.contains("http.rateLimit"), "{yaml}: {error}");
        }
    }
}
