//! What the first version may have encrypted at rest, as clear text. Inputs, results, tokens and webhooks' headers come through
//! here and nowhere else.

use std::{fmt, sync::Arc};

use crate::model::original::{Odd, Record};

/// Opens a value that the first version encrypted; none: it did not encrypt this one.
pub type Opener = Arc<dyn Fn(&[u8]) -> Option<String> + Send + Sync>;

/// Reads values that may be encrypted.
#[derive(Clone, Default)]
pub struct Clear(Option<Opener>);

/// An opener holds a key.
impl fmt::Debug for Clear {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Clear").field(&self.0.is_some()).finish()
    }
}

impl Clear {
    /// With what opens the first version's values.
    #[must_use]
    pub fn with(opener: Opener) -> Self {
        Self(Some(opener))
    }

    /// The clear text of a column; none where it is NULL. What was not encrypted is as it is.
    ///
    /// # Errors
    /// [`Odd`] where it is no text. The value is never in it.
    pub(super) fn text(&self, record: &Record, column: &str) -> Result<Option<String>, Odd> {
        let Some(bytes) = record.bytes(column) else { return Ok(None) };
        if let Some(text) = self.0.as_ref().and_then(|open| open(bytes)) {
            return Ok(Some(text));
        }
        if str::from_utf8(bytes).is_err() {
            return Err(Odd(format!(
                "`{column}` is not text: if it is encrypted, configure `enigma` as the first version's server has it"
            )));
        }
        record.text(column)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Clear, Record};

    #[test]
    fn what_was_encrypted_is_opened_and_the_rest_is_as_it_is() {
        let clear = Clear::with(Arc::new(|bytes| (bytes == b"\xff\x01").then(|| "secret".to_owned())));
        let row = |value: &[u8]| Record { columns: vec!["token".to_owned()].into(), cells: vec![Some(value.to_vec())] };
        assert_eq!(clear.text(&row(b"\xff\x01"), "token").unwrap().as_deref(), Some("secret"));
        assert_eq!(clear.text(&row(b"plain"), "token").unwrap().as_deref(), Some("plain"));
        let odd = clear.text(&row(b"\xff\x02"), "token").unwrap_err().to_string();
        assert!(odd.contains("`token`") && odd.contains("`enigma`"), "{odd}");
        assert_eq!(format!("{clear:?}"), "Clear(true)");
    }
}
