//! Case: what counts as the same letter.

use std::{collections::HashMap, sync::LazyLock};

/// Where letters with case stand: those of Unicode 3.0, which is what MariaDB's LOWER knows.
const CASED: [(char, char); 19] = [
    ('\u{c0}', '\u{21f}'),
    ('\u{222}', '\u{233}'),
    ('\u{386}', '\u{3ce}'),
    ('\u{3da}', '\u{3ef}'),
    ('\u{400}', '\u{481}'),
    ('\u{48c}', '\u{4bf}'),
    ('\u{4c1}', '\u{4c4}'),
    ('\u{4c7}', '\u{4c8}'),
    ('\u{4cb}', '\u{4cc}'),
    ('\u{4d0}', '\u{4f5}'),
    ('\u{4f8}', '\u{4f9}'),
    ('\u{531}', '\u{587}'),
    ('\u{1e00}', '\u{1e95}'),
    ('\u{1ea0}', '\u{1ef9}'),
    ('\u{1f00}', '\u{212b}'),
    ('\u{2160}', '\u{217f}'),
    ('\u{24b6}', '\u{24e9}'),
    ('\u{ff21}', '\u{ff3a}'),
    ('\u{ff41}', '\u{ff5a}'),
];

/// A letter's small form, one character always; younger letters than those of Unicode 3.0 have none.
#[must_use]
pub fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let is_cased = CASED.iter().any(|(first, last)| (*first..=*last).contains(&c));
    if is_cased { c.to_lowercase().next().unwrap_or(c) } else { c }
}

/// The characters that fold to the same as `c`; `c` alone where it has no case.
#[must_use]
pub fn forms(c: char) -> Vec<char> {
    static FORMS: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
        let mut forms: HashMap<char, Vec<char>> = HashMap::new();
        for c in ('\0'..='\u{FFFF}').filter(|c| fold(*c) != *c) {
            let small = fold(c);
            forms.entry(small).or_insert_with(|| vec![small]).push(c);
        }
        forms
    });
    FORMS.get(&fold(c)).cloned().unwrap_or_else(|| vec![c])
}
