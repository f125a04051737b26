//! What the first version may have encrypted at rest, as clear text. Inputs, results and tokens come through here and nowhere else.

use crate::model::original::{Odd, Record};

/// Reads values that may be encrypted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clear;

impl Clear {
    /// The clear text of a column; none where it is NULL.
    ///
    /// # Errors
    /// [`Odd`] where it is no text. The value is never in it.
    pub(super) fn text(self, record: &Record, column: &str) -> Result<Option<String>, Odd> {
        let is_text = record.bytes(column).is_none_or(|bytes| str::from_utf8(bytes).is_ok());
        if !is_text {
            return Err(Odd(format!("`{column}` is not text: is it encrypted?")));
        }
        record.text(column)
    }
}
