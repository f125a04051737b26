//! What an operator allows each plugin: one YAML file, deny by default (`plugins.md`, Grants).
//!
//! Pure: text in, [`Grants`] or a list of [`Mistake`]s out. Reading the file, keeping the last good one and asking at each
//! call is the business of `plugin`.

mod denial;
mod fields;
mod glob;
pub mod http;
pub mod kubernetes;
mod model;
mod parse;
pub mod process;
mod quantity;
mod signing;
mod summary;
mod system;

pub use self::http::{Addresses, CredentialGrant, HttpGrant, Trust};
pub use denial::Denial;
pub use glob::Glob;
pub use model::{Grant, Grants, LimitsGrant, SYSTEM_PLUGIN, System, Unlisted};
pub use process::PROFILES;
pub use signing::SigningRule;

/// Something in the grants file that is not understood. A file with one of these is not used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {message}")]
pub struct Mistake {
    /// Dotted path into the file, such as `plugins.restart-tool.limits.memory`; `the file` for the whole.
    pub at: String,
    /// What is wrong and what would be right.
    pub message: String,
}
