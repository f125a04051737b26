//! Selectors.

use std::collections::BTreeMap;

use super::Invalid;

/// Label and field selectors, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {}

impl Selectors {
    /// # Errors
    /// Which of the two is none, and why.
    pub fn parse(_labels: &str, _fields: &str) -> Result<Self, Invalid> {
        Ok(Self {})
    }

    /// Labels that are equal to these.
    ///
    /// # Errors
    /// Which key or value is none.
    pub fn equalities(_labels: &BTreeMap<String, String>) -> Result<Self, Invalid> {
        Ok(Self {})
    }

    /// The label selector to send; empty: none.
    #[must_use]
    pub fn labels_text(&self) -> String {
        String::new()
    }

    /// The field selector to send; empty: none.
    #[must_use]
    pub fn fields_text(&self) -> String {
        String::new()
    }
}
