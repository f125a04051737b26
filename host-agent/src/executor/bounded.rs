//! JSON text up to a size, so that a value which repeats everything is refused before it fills the memory.

use std::io::{self, Write};

use serde::Serialize;

struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The value's JSON text, or none when it has more than `most` bytes.
pub(super) fn json_text(value: &impl Serialize, most: usize) -> Option<String> {
    let mut text = Bounded { bytes: Vec::new(), most };
    serde_json::to_writer(&mut text, value).ok()?;
    String::from_utf8(text.bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::json_text;
    use serde_json::json;

    #[test]
    fn a_text_ends_where_its_limit_is() {
        let value = json!(["a", 1]);
        assert_eq!(json_text(&value, 7).as_deref(), Some(r#"["a",1]"#));
        assert_eq!(json_text(&value, 6), None);
    }
}
