//! What a template says about the runs of its tasks: the JSON object of its column `options`.

use std::time::Duration;

use serde::Deserialize as _;

use super::duration;

/// See the module. What is absent is as the server's configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// A run ends after this time, over all attempts.
    #[serde(deserialize_with = "time")]
    pub run_timeout: Option<Duration>,
    /// Silence beyond the suspicion after which an agent has lost its leases.
    #[serde(deserialize_with = "time")]
    pub grace: Option<Duration>,
    /// Tasks of the template that run at once.
    pub concurrency: Concurrency,
    /// A task is refused at its creation where no connected agent can run it.
    pub needs_agent: bool,
}

/// Tasks of one template that run at once; none is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Concurrency {
    /// On each cluster.
    pub cluster: Option<u32>,
    /// On all of them together.
    pub total: Option<u32>,
}

impl Options {
    /// Reads the column's text.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: String| {
            format!("{what}; known are run_timeout, grace, concurrency {{cluster, total}} and needs_agent")
        };
        // An array would be read as the fields' values in their order.
        if !text.trim_start().starts_with('{') {
            return Err(wrong("expected an object".into()));
        }
        let options: Self = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let Concurrency { cluster, total } = options.concurrency;
        if cluster == Some(0) || total == Some(0) {
            return Err("concurrency: at least 1 task must be allowed to run".into());
        }
        if options.run_timeout.is_some_and(|time| time.is_zero()) {
            return Err("run_timeout: must be longer than 0".into());
        }
        Ok(options)
    }
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| duration::parse(&text).map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::{Concurrency, Options};
    use std::time::Duration;

    #[test]
    fn options_are_read_and_what_is_absent_is_open() {
        assert_eq!(Options::parse("{}"), Ok(Options::default()));
        let text = r#"{"run_timeout":"30s","grace":"1m","concurrency":{"cluster":1},"needs_agent":true}"#;
        let options = Options {
            run_timeout: Some(Duration::from_secs(30)),
            grace: Some(Duration::from_secs(60)),
            concurrency: Concurrency { cluster: Some(1), total: None },
            needs_agent: true,
        };
        assert_eq!(Options::parse(text), Ok(options));
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, part) in [
            (r#"{"run_timout":"1s"}"#, "run_timout"),
            (r#"{"run_timeout":"soon"}"#, "soon"),
            (r#"{"run_timeout":"0s"}"#, "longer than 0"),
            (r#"{"run_timeout":5}"#, "string"),
            (r#"{"concurrency":{"cluster":0}}"#, "at least 1"),
            (r#"{"concurrency":{"each":1}}"#, "each"),
            ("[]", "known are"),
            ("{", "known are"),
        ] {
            let said = Options::parse(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
