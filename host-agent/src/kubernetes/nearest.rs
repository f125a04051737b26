//! What somebody may have meant who asked for a kind that is not there.

use std::collections::BTreeSet;

use super::Catalogue;
use crate::grants::kubernetes::Kind;

const NEAREST_MAX: usize = 3;
/// Below it two words have little in common.
const LIKENESS_MIN: f64 = 0.8;

impl Catalogue {
    /// One sentence without a full stop: what is not there, and what is. The four parts passed the shape check.
    #[must_use]
    pub(super) fn unknown(&self, group: &str, version: &str, plural: &str, subresource: &str) -> String {
        let of_name = || self.kinds().filter(|kind| kind.plural == plural && kind.subresource.is_empty());
        let in_group: Vec<&Kind> = of_name().filter(|kind| kind.group == group).collect();
        if in_group.is_empty() {
            let asked = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
            let elsewhere = listed(of_name().map(Kind::to_string));
            if !elsewhere.is_empty() {
                let whose = if group.is_empty() { "the core group".to_owned() } else { format!("the group `{group}`") };
                return format!("{whose} has no kind `{plural}`; there is {elsewhere}");
            }
            let near = listed(self.near(plural).into_iter());
            return match near.as_str() {
                "" => format!("this cluster has no kind `{asked}`, nor one of a similar name"),
                near => format!("this cluster has no kind `{asked}`; the nearest is {near}"),
            };
        }
        let versions = listed(in_group.iter().map(|kind| kind.version.clone()));
        let Some(of_version) = in_group.iter().find(|kind| version.is_empty() || kind.version == version) else {
            return format!("`{}` is not there in the version `{version}`, but in {versions}", named(plural, group));
        };
        let subresources = listed(
            self.kinds()
                .filter(|kind| kind.plural == plural && kind.group == group && kind.version == of_version.version)
                .filter(|kind| !kind.subresource.is_empty())
                .map(|kind| kind.subresource.clone()),
        );
        let which = if subresources.is_empty() { "none".to_owned() } else { subresources };
        format!("`{}` has no subresource `{subresource}`; it has {which}", named(plural, group))
    }

    fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.served().map(|served| &served.kind)
    }

    /// Best first: whose alias or kind it is, then by likeness.
    fn near(&self, plural: &str) -> Vec<String> {
        let mut scored: Vec<(f64, String)> = Vec::new();
        for served in self.served().filter(|served| served.kind.subresource.is_empty()) {
            let kind = &served.kind;
            let is_alias = served.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(plural))
                || kind.kind.eq_ignore_ascii_case(plural);
            let likeness = if is_alias { 2.0 } else { strsim::jaro_winkler(plural, &kind.plural) };
            let name = kind.to_string();
            if likeness >= LIKENESS_MIN && !scored.iter().any(|(_, known)| *known == name) {
                scored.push((likeness, name));
            }
        }
        scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        scored.into_iter().take(NEAREST_MAX).map(|(_, name)| name).collect()
    }
}

fn named(plural: &str, group: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

/// Each once, in the order in which they come.
fn listed(names: impl Iterator<Item = String>) -> String {
    let mut seen = BTreeSet::new();
    let names: Vec<String> = names.filter(|name| seen.insert(name.clone())).map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::kubernetes::catalogue::tests::some;

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let catalogue = some();
        for (asked, message) in [
            (("", "", "deployments", ""), "the core group has no kind `deployments`; there is `deployments.apps`"),
            (
                ("extensions", "v1beta1", "deployments", ""),
                "the group `extensions` has no kind `deployments`; there is `deployments.apps`",
            ),
            (("apps", "", "pods", ""), "the group `apps` has no kind `pods`; there is `pods`, `pods.metrics.k8s.io`"),
            (("apps", "v2", "deployments", ""), "`deployments.apps` is not there in the version `v2`, but in `v1`"),
            (
                ("autoscaling", "v3", "horizontalpodautoscalers", ""),
                "`horizontalpodautoscalers.autoscaling` is not there in the version `v3`, but in `v2`, `v1`",
            ),
            (("", "", "pods", "scale"), "`pods` has no subresource `scale`; it has `eviction`, `log`"),
            (("", "", "nodes", "scale"), "`nodes` has no subresource `scale`; it has none"),
            (("", "", "deploy", ""), "this cluster has no kind `deploy`; the nearest is `deployments.apps`"),
            (("", "", "pod", ""), "this cluster has no kind `pod`; the nearest is `pods`, `pods.metrics.k8s.io`"),
            (
                ("apps", "", "deploymnets", ""),
                "this cluster has no kind `deploymnets.apps`; the nearest is `deployments.apps`",
            ),
            (("x.io", "", "zzz", ""), "this cluster has no kind `zzz.x.io`, nor one of a similar name"),
        ] {
            let (group, version, plural, subresource) = asked;
            assert_eq!(catalogue.unknown(group, version, plural, subresource), message, "{asked:?}");
        }
    }
}
