//! What `verify` answers.

use serde::{Serialize, Serializer, ser::SerializeMap};

/// Whether an earlier attempt of a call took effect. [`Context::effect_key`](crate::Context::effect_key) is the same
/// over all attempts: leave it where this question will look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<T> {
    /// It did, and this is what the call would have answered.
    Done(T),
    /// It did not: the call may be made again.
    NotDone,
    /// Nobody can tell, and why. A person settles the task.
    Unknown(String),
}

impl<T: Serialize> Serialize for Verdict<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Done(output) => {
                map.serialize_entry("verdict", "done")?;
                map.serialize_entry("output", output)?;
            }
            Self::NotDone => map.serialize_entry("verdict", "not-done")?,
            Self::Unknown(why) => {
                map.serialize_entry("verdict", "unknown")?;
                map.serialize_entry("why", why)?;
            }
        }
        map.end()
    }
}
