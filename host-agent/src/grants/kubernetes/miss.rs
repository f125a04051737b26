//! What a rule lacks for a request, and how that is told.

use super::{
    Denial, Scope, Verb,
    asked::{Asked, Place},
    body::Naming,
    path::{self, Path},
    suggest::{self, Written},
};

/// What a rule lacks, from the farthest to the nearest: the one that came nearest is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// There is no rule.
    Rules,
    Kind,
    Verb,
    Namespace,
    Name,
    /// Why it is dangerous.
    Dangerous(&'static str),
    /// Bytes cannot be masked.
    Masked,
    /// A field, and whether the rule has to name it.
    Write(String, bool),
    Read(String),
}

impl Miss {
    pub(super) fn write(path: &Path<'_>) -> Self {
        Self::Write(path::shown(path), path::named_at(path).is_some())
    }

    pub(super) fn read(path: &Path<'_>) -> Self {
        Self::Read(path::shown(path))
    }

    pub(super) fn or_nearer(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Rules => 0,
            Self::Kind => 1,
            Self::Verb => 2,
            Self::Namespace => 3,
            Self::Name => 4,
            Self::Dangerous(_) => 5,
            Self::Masked => 6,
            Self::Write(..) => 7,
            Self::Read(_) => 8,
        }
    }

    fn text(&self, asked: &Asked<'_>) -> String {
        let kind = asked.kind;
        match self {
            Self::Rules => "the grants file gives it no rule over the cluster's API".to_owned(),
            Self::Kind if kind.group.is_empty() => format!("no rule names `{}` of the core group", kind.resource()),
            Self::Kind => format!("no rule names `{}` of the group `{}`", kind.resource(), kind.group),
            Self::Verb if matches!(asked.verb, Verb::Apply | Verb::ForceApply) => {
                format!("no rule for it has both `{}` and `create`, and an apply creates what is not there", asked.verb)
            }
            Self::Verb => format!("no rule for it has the verb `{}`", asked.verb),
            Self::Namespace => match &asked.place {
                Place::One { namespace: Some(namespace), .. } => {
                    format!("no rule with that verb holds in the namespace `{namespace}`")
                }
                Place::Many(Scope::Namespace(namespace)) => {
                    format!("no rule with that verb holds in the namespace `{namespace}`")
                }
                Place::Many(Scope::Granted) => "no rule with that verb names a namespace".to_owned(),
                Place::One { namespace: None, .. } | Place::Many(Scope::Cluster) => {
                    "no rule with that verb says `scope: cluster`".to_owned()
                }
            },
            Self::Name => match &asked.place {
                Place::One { naming: Naming::Generated(prefix), .. } => {
                    format!("no rule with that verb names everything that begins with `{prefix}`")
                }
                _ => "no rule with that verb there has the name".to_owned(),
            },
            Self::Dangerous(why) => format!("{why}, and the rule does not say `dangerous: true`"),
            Self::Masked => "it gives bytes, and the rule's `read` and `write` cut objects".to_owned(),
            Self::Write(field, true) => format!("the rule's `write` has to name `{field}`"),
            Self::Write(field, false) => format!("the rule's `write` does not have `{field}`"),
            Self::Read(field) => {
                format!("the rule's `read` does not have `{field}`, and the answer would tell what it holds")
            }
        }
    }
}

impl Asked<'_> {
    /// The denial for what no rule allows.
    pub(super) fn denied(&self, plugin: &str, miss: &Miss, written: Written) -> Denial {
        let allow = suggest::rule(plugin, self, written);
        Denial::denied(self.refused(plugin, &miss.text(self)), allow)
    }

    /// One sentence: who may not do what, and why.
    pub(super) fn refused(&self, plugin: &str, why: &str) -> String {
        let place = match &self.place {
            Place::One { namespace, naming } => {
                let name = match naming {
                    Naming::Name(name) => (*name).to_owned(),
                    Naming::Generated(prefix) => format!("{prefix}*"),
                    Naming::Nameless => String::new(),
                };
                match (namespace, name.is_empty()) {
                    (Some(namespace), false) => format!(" `{namespace}/{name}`"),
                    (Some(namespace), true) => format!(" in `{namespace}`"),
                    (None, false) => format!(" `{name}`"),
                    (None, true) => String::new(),
                }
            }
            Place::Many(Scope::Namespace(namespace)) => format!(" in `{namespace}`"),
            Place::Many(Scope::Granted | Scope::Cluster) => String::new(),
        };
        format!("the plugin `{plugin}` may not {} `{}`{place}: {why}", self.verb, self.kind)
    }
}
