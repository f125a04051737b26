//! What can be granted over the cluster's API: a closed list.

use std::fmt;

/// A verb of the grants file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are those of the Kubernetes API")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    /// Server-side apply, which creates what is not there: it needs [`Verb::Create`] in the same rule.
    Apply,
    /// Server-side apply that takes fields away from their managers; it needs [`Verb::Create`] too, and does not include
    /// [`Verb::Apply`].
    ForceApply,
    /// `replace` in the contract.
    Update,
    Patch,
    Delete,
}

impl Verb {
    /// Every verb that can be granted.
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Create,
        Self::Apply,
        Self::ForceApply,
        Self::Update,
        Self::Patch,
        Self::Delete,
    ];

    /// As the grants file writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Apply => "apply",
            Self::ForceApply => "force-apply",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    /// Whether it leaves something behind.
    #[must_use]
    pub const fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }

    /// The verb that the grants file calls so.
    ///
    /// # Errors
    /// What is wrong with the word, and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(verb) = Self::ALL.into_iter().find(|verb| verb.as_str() == text) {
            return Ok(verb);
        }
        let instead = match text {
            "*" => "`*` is no verb: name those that are needed".to_owned(),
            "deletecollection" | "impersonate" | "bind" | "escalate" | "proxy" => {
                format!("the verb `{text}` is never granted to a plugin")
            }
            "replace" => "`replace` is written `update`".to_owned(),
            "exec" | "attach" => format!("`{text}` is written `create` on the resource `pods/{text}`"),
            "log" | "logs" => "`log` is written `get` on the resource `pods/log`".to_owned(),
            "evict" => "`evict` is written `create` on the resource `pods/eviction`".to_owned(),
            "scale" => "`scale` is written `patch` or `update` on a resource such as `deployments/scale`".to_owned(),
            _ => format!("`{text}` is none of {}", Self::ALL.map(Self::as_str).join(", ")),
        };
        Err(instead)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Verb;

    #[test]
    fn every_verb_is_read_as_it_is_written() {
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.as_str()), Ok(verb));
        }
    }

    #[test]
    fn what_is_no_verb_is_told_what_would_be_right() {
        for (text, part) in [
            ("*", "name those"),
            ("impersonate", "never granted"),
            ("bind", "never granted"),
            ("escalate", "never granted"),
            ("proxy", "never granted"),
            ("deletecollection", "never granted"),
            ("replace", "`update`"),
            ("exec", "`pods/exec`"),
            ("logs", "`pods/log`"),
            ("evict", "`pods/eviction`"),
            ("scale", "`deployments/scale`"),
            ("GET", "none of get, list"),
            ("", "none of get, list"),
        ] {
            assert!(Verb::parse(text).is_err_and(|message| message.contains(part)), "{text}");
        }
    }
}
