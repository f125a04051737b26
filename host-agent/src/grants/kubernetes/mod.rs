//! What a plugin may do over the cluster's API: every request goes through [`authorise`], and everything that the API
//! answers through [`Allowed`].
//!
//! Shape before authority ([`Name`], [`Namespace`]), discovery before authority ([`Kind`]), authority before the request,
//! masks before the guest. Nothing here speaks with the API.

mod allowed;
mod authorise;
mod denial;
mod kind;
mod mask;
mod own;
mod patch;
mod request;
mod rule;
mod selector;
pub mod shape;
mod verb;

pub use allowed::{Allowed, Visits};
pub use authorise::{Caller, authorise};
pub use denial::Denial;
pub use kind::Kind;
pub use mask::Mask;
pub use own::Own;
pub use patch::{Patch, identify};
pub use request::{Access, Object, Request, Scope};
pub use rule::{Identity, IdentityBy, Reach, Rule, allows_import, reach};
pub use selector::Selectors;
pub use shape::{Invalid, Name, Namespace};
pub use verb::Verb;
