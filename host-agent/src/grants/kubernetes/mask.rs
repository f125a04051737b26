//! Fields by path.

use super::Invalid;

/// A set of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    texts: Vec<String>,
}

impl Mask {
    /// # Errors
    /// Which path is none, and why.
    pub fn parse(texts: &[String]) -> Result<Self, Invalid> {
        Ok(Self { texts: texts.to_vec() })
    }
}
