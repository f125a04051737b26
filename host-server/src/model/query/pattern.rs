//! What LIKE matches.

/// A pattern, read once, so that each engine is given it in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub Vec<Piece>);

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// `%`: any characters, or none.
    Any,
    /// `_`: one character.
    One,
    /// This character, without case.
    Char(char),
}

impl Pattern {
    /// `%` and `_` are wild; a backslash before them, or before a backslash, takes that away. Any other backslash is itself.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            let piece = match c {
                '%' => Piece::Any,
                '_' => Piece::One,
                '\\' => match rest.next_if(|next| matches!(next, '%' | '_' | '\\')) {
                    Some(plain) => Piece::Char(plain),
                    None => Piece::Char('\\'),
                },
                c => Piece::Char(c),
            };
            // Two in a row match what one does, and take longer.
            if piece != Piece::Any || pieces.last() != Some(&Piece::Any) {
                pieces.push(piece);
            }
        }
        Self(pieces)
    }
}
