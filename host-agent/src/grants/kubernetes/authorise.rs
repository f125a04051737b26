//! The one decision over a request.

use std::sync::Arc;

use super::{Access, Allowed, Denial, Own};
use crate::grants::Grant;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The plugin's name, as in the grants file.
    pub plugin: &'a str,
    /// Shipped with the agent: it alone may touch the agent's own objects.
    pub built_in: bool,
    /// The agent's own objects.
    pub own: &'a Arc<Own>,
}

/// Whether the request may be sent, and what of the answer may be shown.
///
/// # Errors
/// [`Denial`] with why, and with the rule that would allow it.
pub fn authorise(_grant: &Grant, caller: &Caller<'_>, _access: &Access<'_>) -> Result<Allowed, Denial> {
    let _ = Allowed::nothing;
    Err(Denial::new("denied", format!("`{}` is granted nothing", caller.plugin)))
}
