//! Why an expression has no value.

use std::fmt;

/// A sentence for its author, and whether he can mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The expression has no value for this input, and will have none.
    Expression(String),
    /// There is no worker that could say; another time there may be one.
    Evaluator(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expression(message) | Self::Evaluator(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}
