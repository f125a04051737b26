//! What a plugin may do over the cluster's API: every request goes through [`authorise`], and everything that the API
//! answers through [`Allowed`].
//!
//! Shape before authority ([`Name`], [`Namespace`]), discovery before authority ([`Kind`]), authority before the request,
//! masks before the guest. Nothing here speaks with the API.

mod allowed;
mod asked;
mod authorise;
mod body;
mod danger;
mod identity;
mod kind;
mod manifest;
mod mask;
mod miss;
mod own;
pub(super) mod parse;
mod patch;
mod path;
mod rbac;
mod reach;
mod request;
mod rule;
mod scopes;
mod selector;
mod settle;
pub mod shape;
mod status;
mod suggest;
mod touch;
mod verb;

pub use super::denial::Denial;
pub use allowed::{Allowed, Visits};
pub use authorise::{Caller, authorise};
pub use body::identify;
pub use identity::{Identity, IdentityBy};
pub use kind::Kind;
pub use mask::Mask;
pub use own::{CREDENTIALS, Own};
pub use patch::Patch;
pub use rbac::{AgentAccount, rbac};
pub use reach::{Reach, reach};
pub use request::{Access, Object, Request, Scope};
pub use rule::{Namespaces, Rule};
pub use selector::Selectors;
pub use shape::{Invalid, Name, Namespace};
pub use verb::Verb;
