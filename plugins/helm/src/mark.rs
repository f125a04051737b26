//! What ties a revision to the call that made it.

use claiflow_sdk::Context;

/// A description that says which call made the revision.
pub(crate) fn described(what: &str, context: &Context) -> String {
    if context.effect_key.is_empty() {
        return what.to_owned();
    }
    format!("{what} {}", tag(context))
}

/// Whether a description says that this call made the revision.
pub(crate) fn is_ours(description: &str, context: &Context) -> bool {
    !context.effect_key.is_empty() && description.contains(&tag(context))
}

fn tag(context: &Context) -> String {
    format!("[claiflow {}]", context.effect_key)
}
