//! The global variables: their names, what they may hold, and what they say together.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::duration::{self, micros};

/// How a secret is shown.
pub const MASK: &str = "********";
/// A key at least, bytes: what 128 bits take.
const KEY_LEAST: usize = 16;
/// A key at most, bytes.
const KEY_MOST: usize = 1_024;
/// The longest time that a variable may say: a hundred years, in hours.
const HOURS_MOST: u64 = 876_000;
const DAY: Duration = Duration::from_secs(86_400);

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A time, as Go writes it.
    Duration,
    /// A key, base64; shown as [`MASK`].
    Secret,
}

/// A variable that the server reads.
#[derive(Debug)]
pub struct Known {
    /// Never changes.
    pub uuid: &'static str,
    /// Never changes.
    pub name: &'static str,
    /// For people.
    pub summary: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its value from the first start on; a secret's is random.
    pub default: &'static str,
}

/// `ClusterToken/ExpirationTime`.
pub const TOKEN_LIFE: Known = Known {
    uuid: "0f5658f37f2b45d881f19c7f56ea2e23",
    name: "ClusterToken/ExpirationTime",
    summary: "how long a cluster token lives, from its making or its refresh",
    kind: Kind::Duration,
    default: "8760h0m0s",
};
/// `ClientSession/SignatureSecret`.
pub const SECRET: Known = Known {
    uuid: "77f7b2aeb0aa4254ad073ae7743291ab",
    name: "ClientSession/SignatureSecret",
    summary: "signs the sessions of agents; a change ends all of them",
    kind: Kind::Secret,
    default: "",
};
/// `ClientSession/ExpirationTime`.
pub const SESSION_LIFE: Known = Known {
    uuid: "af9a14a58b254d13ae69c065a27811b6",
    name: "ClientSession/ExpirationTime",
    summary: "how long an agent may open a stream, or wait for tasks, under one session",
    kind: Kind::Duration,
    default: "1m0s",
};
/// `ClientConfig/ServiceValidityPeriod`.
pub const VALIDITY: Known = Known {
    uuid: "bc2cd0f95b6d4db68870d30862523a04",
    name: "ClientConfig/ServiceValidityPeriod",
    summary: "how long a task waits for an agent before it expires, unless it says so itself",
    kind: Kind::Duration,
    default: "10m0s",
};
/// All of them.
pub const KNOWN: [&Known; 4] = [&TOKEN_LIFE, &SECRET, &SESSION_LIFE, &VALIDITY];

/// The variable of this name that the server reads.
#[must_use]
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.into_iter().find(|known| known.name == name)
}

impl Known {
    /// Refuses what this variable cannot hold.
    ///
    /// # Errors
    /// A sentence that says what would be right; it never holds a secret.
    pub fn check(&self, value: &str) -> Result<(), String> {
        match self.kind {
            Kind::Duration => self.time(value).map(drop),
            Kind::Secret if !value.is_empty() && value.bytes().all(|byte| byte == b'*') => {
                Err("this is how a secret is shown, not one; leave `value` out to keep what is stored".into())
            }
            Kind::Secret => {
                let key = STANDARD.decode(value).map_err(|_| "a secret is base64 with its padding (RFC 4648)")?;
                if (KEY_LEAST..=KEY_MOST).contains(&key.len()) {
                    return Ok(());
                }
                Err(format!(
                    "a secret has {KEY_LEAST} to {KEY_MOST} bytes before they are written as base64, not {}",
                    key.len()
                ))
            }
        }
    }

    fn time(&self, value: &str) -> Result<Duration, String> {
        let time = duration::parse(value)?;
        if time.is_zero() || time > Duration::from_secs(HOURS_MOST * 3_600) {
            return Err(format!("the time is above 0 and at most {HOURS_MOST}h, for instance {}", self.default));
        }
        Ok(time)
    }

    /// What is stored, or the default where that cannot be used; then also why.
    fn read(&self, stored: Option<&str>) -> (Duration, Option<String>) {
        let default = || self.time(self.default).unwrap_or(DAY);
        match stored.map(|text| self.time(text)) {
            None => (default(), None),
            Some(Ok(time)) => (time, None),
            Some(Err(message)) => {
                (default(), Some(format!("{}: {message}; {} is used instead", self.name, self.default)))
            }
        }
    }
}

/// What the variables say.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Signs sessions. Never logged.
    pub secret: Vec<u8>,
    /// Of a cluster token.
    pub token_life: Duration,
    /// Of a session.
    pub session_life: Duration,
    /// Of a task that nobody has started.
    pub validity: Duration,
}

impl Settings {
    /// From names and stored values; and what of them cannot be used, a sentence each.
    #[must_use]
    pub fn of(stored: &[(String, String)]) -> (Self, Vec<String>) {
        let value = |known: &Known| stored.iter().find(|(name, _)| name == known.name).map(|(_, value)| value.as_str());
        let (token_life, wrong_token) = TOKEN_LIFE.read(value(&TOKEN_LIFE));
        let (session_life, wrong_session) = SESSION_LIFE.read(value(&SESSION_LIFE));
        let (validity, wrong_validity) = VALIDITY.read(value(&VALIDITY));
        let text = value(&SECRET).unwrap_or_default();
        // Whatever text a shell has stored is a key.
        let secret = STANDARD.decode(text).unwrap_or_else(|_| text.as_bytes().to_vec());
        let wrong = [wrong_token, wrong_session, wrong_validity].into_iter().flatten().collect();
        (Self { secret, token_life, session_life, validity }, wrong)
    }

    /// When a token that is made or refreshed now expires: times of a day and more count from the start of the day, UTC.
    #[must_use]
    pub fn token_expiry(&self, now_us: i64) -> i64 {
        let from = if self.token_life >= DAY { now_us - now_us.rem_euclid(micros(DAY)) } else { now_us };
        from.saturating_add(micros(self.token_life))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, KNOWN, SECRET, SESSION_LIFE, Settings, TOKEN_LIFE, VALIDITY, known};

    #[test]
    fn each_default_is_what_its_variable_may_hold_and_is_found_by_its_name() {
        for one in KNOWN {
            assert_eq!(known(one.name).unwrap().uuid, one.uuid);
            assert!(one.uuid == SECRET.uuid || one.check(one.default).is_ok(), "{}", one.name);
        }
    }

    #[test]
    fn what_a_variable_cannot_hold_is_refused_with_what_would_be_right() {
        for (known, value, right) in [
            (&TOKEN_LIFE, "a year", "1h30m"),
            (&TOKEN_LIFE, "0s", "8760h0m0s"),
            (&TOKEN_LIFE, "876001h", "876000h"),
            (&SESSION_LIFE, "", "1h30m"),
            (&VALIDITY, "-1s", "1h30m"),
            (&SECRET, "********", "leave `value` out"),
            (&SECRET, "*", "leave `value` out"),
            (&SECRET, "no base64!", "RFC 4648"),
            (&SECRET, "c2hvcnQ=", "16 to 1024 bytes"),
            (&SECRET, "", "16 to 1024 bytes"),
        ] {
            let said = known.check(value).unwrap_err();
            assert!(said.contains(right), "{value}: {said}");
        }
        assert_eq!(SECRET.check("MDEyMzQ1Njc4OWFiY2RlZg=="), Ok(()));
    }

    #[test]
    fn what_a_shell_stored_wrongly_is_told_and_the_default_is_used() {
        let stored = [("ClientSession/ExpirationTime", "2m"), ("ClientConfig/ServiceValidityPeriod", "soon")];
        let (settings, wrong) = Settings::of(&stored.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(settings.session_life, Duration::from_secs(120));
        assert_eq!(
            (settings.validity, settings.token_life),
            (Duration::from_secs(600), Duration::from_secs(8_760 * 3_600))
        );
        assert!(wrong.len() == 1 && wrong[0].contains("`soon`") && wrong[0].contains("10m0s"), "{wrong:?}");
    }

    #[test]
    fn a_token_of_a_day_and_more_expires_at_midnight() {
        let now = 1_700_000_123_456_789;
        let expiry = |text: &str| Settings::of(&[(TOKEN_LIFE.name.to_owned(), text.to_owned())]).0.token_expiry(now);
        let midnight = now - now % 86_400_000_000;
        assert_eq!(expiry("24h"), midnight + 86_400_000_000);
        assert_eq!(expiry("36h"), midnight + 129_600_000_000);
        assert_eq!(expiry("23h59m"), now + 86_340_000_000);
    }
}
