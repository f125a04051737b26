//! Names with `*`. A star stands for any characters but `/`, so that a glob never crosses a path segment.

use std::fmt;

/// A pattern such as `restart.*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glob(String);

impl Glob {
    /// Any text is a glob; one without `*` matches itself only.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` is matched whole. Linear in the product of both lengths at worst, never exponential.
    pub fn matches(&self, name: &str) -> bool {
        let (glob, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut g, mut n) = (0, 0);
        // Where to go on when the text after the last star did not fit: only the last star ever needs to take more.
        let mut retry: Option<(usize, usize)> = None;
        while let Some(&byte) = name.get(n) {
            match glob.get(g) {
                Some(b'*') => {
                    retry = Some((g + 1, n));
                    g += 1;
                }
                Some(&expected) if expected == byte => {
                    g += 1;
                    n += 1;
                }
                _ => match retry {
                    Some((after_star, taken)) if name.get(taken) != Some(&b'/') => {
                        retry = Some((after_star, taken + 1));
                        g = after_star;
                        n = taken + 1;
                    }
                    _ => return false,
                },
            }
        }
        glob.get(g..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn a_star_takes_any_characters_but_a_slash() {
        for (glob, name, expected) in [
            ("restart.*", "restart.run", true),
            ("restart.*", "restart.", true),
            ("restart.*", "restart", false),
            ("web-*", "web-1/log", false),
            ("*", "a.b.c", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-c-d", false),
            ("/api/*/x", "/api/v1/x", true),
            ("/api/*/x", "/api/v1/y/x", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(Glob::new(glob).matches(name), expected, "{glob} against {name}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        assert!(!Glob::new("*a".repeat(200) + "b").matches(&"a".repeat(5_000)));
    }
}
