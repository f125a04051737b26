//! Case: what counts as the same letter.

use std::{collections::HashMap, sync::LazyLock};

/// A letter's small form. Letters beyond the basic plane, and one whose small form is two characters, are as MariaDB has them.
#[must_use]
pub fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    if u32::from(c) > 0xFFFF {
        return c;
    }
    c.to_lowercase().next().unwrap_or(c)
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
