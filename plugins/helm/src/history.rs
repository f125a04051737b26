//! `helm.history`.

use claiflow_sdk::{Context, Error, command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{former::Former, helm::of_release, mark};

/// Which release.
#[derive(Deserialize, JsonSchema)]
pub struct Which {
    /// The release's name.
    #[schemars(length(min = 1))]
    pub(crate) name: String,
    /// The namespace that it is in.
    #[schemars(length(min = 1))]
    pub(crate) namespace: String,
}

/// One revision of a release.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Revised {
    app_version: String,
    chart_name: String,
    chart_version: String,
    description: String,
    namespace: String,
    release_name: String,
    revision: u64,
    status: String,
    updated: String,
}

/// As Helm writes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Revision {
    pub(crate) revision: u64,
    pub(crate) updated: String,
    pub(crate) status: String,
    chart: String,
    app_version: String,
    pub(crate) description: String,
}

impl Revision {
    /// Something was begun with it, and did not end.
    pub(crate) fn is_pending(&self) -> bool {
        self.status.starts_with("pending-")
    }

    /// It was deployed, and maybe something came after it.
    pub(crate) fn was_deployed(&self) -> bool {
        matches!(self.status.as_str(), "deployed" | "superseded")
    }
}

/// The revisions of a release, the newest first.
#[command("helm.history", effect = "read")]
pub fn history(inputs: Former<Which>) -> Result<Vec<Revised>, Error> {
    let Which { name, namespace } = inputs.known();
    let revisions = revisions(&name, &namespace)?;
    let told = |revision: Revision| {
        let (chart_name, chart_version) = chart(&revision.chart);
        Revised {
            app_version: revision.app_version,
            chart_name,
            chart_version,
            description: revision.description,
            namespace: namespace.clone(),
            release_name: name.clone(),
            revision: revision.revision,
            status: revision.status,
            updated: revision.updated,
        }
    };
    Ok(revisions.into_iter().map(told).collect())
}

/// The newest first.
///
/// # Errors
/// `not-found`, and what else Helm says.
pub(crate) fn revisions(name: &str, namespace: &str) -> Result<Vec<Revision>, Error> {
    let output = of_release("helm.history", name, namespace)?;
    let mut revisions: Vec<Revision> = serde_json::from_slice(&output)
        .map_err(|error| Error::failed(format!("Helm's history cannot be read: {error}")))?;
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.revision));
    Ok(revisions)
}

/// The same; empty where there is no such release.
///
/// # Errors
/// What Helm says.
pub(crate) fn known(name: &str, namespace: &str) -> Result<Vec<Revision>, Error> {
    match revisions(name, namespace) {
        Err(error) if error.code() == "not-found" => Ok(Vec::new()),
        revisions => revisions,
    }
}

/// The revision that this call deployed, if it did.
pub(crate) fn deployed_by<'a>(revisions: &'a [Revision], context: &Context) -> Option<&'a Revision> {
    revisions.iter().find(|revision| revision.was_deployed() && mark::is_ours(&revision.description, context))
}

/// Name and version of `NAME-VERSION`; both may hold dashes, and a version begins with a number and a dot.
fn chart(chart: &str) -> (String, String) {
    let is_version = |text: &str| {
        let text = text.strip_prefix('v').unwrap_or(text);
        let number = text.split('.').next().unwrap_or_default();
        !number.is_empty() && number.len() < text.len() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let dashes = chart.match_indices('-').map(|(at, _)| chart.split_at(at));
    let found = dashes.map(|(name, rest)| (name, rest.trim_start_matches('-'))).find(|(_, rest)| is_version(rest));
    let (name, version) = found.unwrap_or((chart, ""));
    (name.to_owned(), version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::chart;

    #[test]
    fn a_chart_is_told_from_its_version() {
        for (text, name, version) in [
            ("nginx-1.2.3", "nginx", "1.2.3"),
            ("kube-prometheus-stack-61.3.2-rc.1", "kube-prometheus-stack", "61.3.2-rc.1"),
            ("app-2-v1.0.0", "app-2", "v1.0.0"),
            ("web", "web", ""),
            ("MISSING", "MISSING", ""),
        ] {
            assert_eq!(chart(text), (name.to_owned(), version.to_owned()));
        }
    }
}
