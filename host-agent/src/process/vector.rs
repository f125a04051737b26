//! The argument vectors. Every value stands behind `--flag=` or behind `--`, so that none can be taken for a flag.

use super::{
    Call, Profile,
    call::{Asked, Deploy, Release},
    chart::{Chart, SOURCE, host_of},
    steps::{Keep, Steps},
};

/// Revisions that are kept of a release.
const HISTORY: &str = "--history-max=20";
/// The label of a revision's Secret that says which call made it.
const EFFECT_LABEL: &str = "claiflow.io/effect-key";
/// Beside the bytes of an archive, in the private directory.
pub(super) const ARCHIVE_FILE: &str = "chart.tgz";
const LIST_MAX: &str = "--max=1000";

/// What a call runs. `plain` are registries that are spoken to without TLS.
pub(super) fn steps(call: &Call, plain: &[String]) -> Steps {
    let mut keep = None;
    let mut runs = Vec::new();
    match &call.asked {
        Asked::Deploy(deploy) => {
            if with_private_list(deploy) {
                runs.push(words(&["repo", "update", "--", SOURCE]));
            }
            runs.push(deployment(call.profile(), deploy, plain));
        }
        Asked::Release(asked) => runs.push(release(call.profile(), asked)),
        Asked::List(asked) => {
            let mut run = words(&["list", "--output=json", LIST_MAX]);
            run.push(match &asked.namespace {
                Some(namespace) => format!("--namespace={}", namespace.as_str()),
                None => "--all-namespaces".to_owned(),
            });
            run.extend(asked.effect_key.as_ref().map(|key| format!("--selector={EFFECT_LABEL}={}", key.as_str())));
            runs.push(run);
        }
        Asked::RepoAdd(asked) => {
            runs.push(words(&["repo", "update", "--", asked.repo_name.as_str()]));
            keep = Some(Keep::Repository {
                name: asked.repo_name.clone(),
                url: asked.repo_url.clone(),
                credential: asked.credential.as_ref().map(|name| name.as_str().to_owned()),
            });
        }
        Asked::RepoUpdate(name) => {
            runs.push(words(&["repo", "update", "--", name.as_str()]));
            keep = Some(Keep::Index(name.clone()));
        }
        Asked::RepoList => {}
    }
    Steps { runs, keep }
}

/// Whether the chart's repository stands in a list of its own: a flag for its password would be on a command line.
pub(super) fn with_private_list(deploy: &Deploy) -> bool {
    deploy.credential.is_some() && matches!(deploy.chart, Chart::InRepository { .. })
}

fn deployment(profile: Profile, deploy: &Deploy, plain: &[String]) -> Vec<String> {
    let verb = match profile {
        Profile::Upgrade => "upgrade",
        Profile::Template => "template",
        _ => "install",
    };
    let mut run = words(&[verb, "--values=-"]);
    run.push(format!("--namespace={}", deploy.namespace.as_str()));
    if profile != Profile::Template {
        run.extend(words(&["--output=json", "--wait=watcher", "--wait-for-jobs", "--rollback-on-failure"]));
        run.push(timeout(deploy.timeout_s));
        run.extend(deploy.effect_key.as_ref().map(|key| format!("--labels={EFFECT_LABEL}={}", key.as_str())));
        run.extend(deploy.description.as_ref().map(|text| format!("--description={}", text.as_str())));
    }
    match profile {
        Profile::Install => run.extend(words(&["--create-namespace"])),
        Profile::Upgrade => {
            run.extend(words(&["--cleanup-on-fail", HISTORY]));
            run.extend(deploy.reuse_values.then(|| "--reuse-values".to_owned()));
        }
        _ => {}
    }
    run.extend(deploy.version.as_ref().map(|version| format!("--version={}", version.as_str())));
    let chart = match &deploy.chart {
        Chart::InRepository { name, .. } if with_private_list(deploy) => format!("{SOURCE}/{}", name.as_str()),
        Chart::InRepository { url, name } => {
            run.push(format!("--repo={url}"));
            name.as_str().to_owned()
        }
        Chart::InKept { repository, name } => format!("{}/{}", repository.as_str(), name.as_str()),
        Chart::Registry(reference) => {
            let is_plain = plain.iter().any(|plain| plain == host_of(reference));
            run.extend(is_plain.then(|| "--plain-http".to_owned()));
            reference.clone()
        }
        Chart::Archive(url) => url.clone(),
        Chart::Bytes(_) => format!("./{ARCHIVE_FILE}"),
    };
    run.extend(["--".to_owned(), deploy.name.as_str().to_owned(), chart]);
    run
}

fn release(profile: Profile, asked: &Release) -> Vec<String> {
    let mut run = match profile {
        Profile::Rollback => words(&["rollback", "--wait=watcher", "--wait-for-jobs", "--cleanup-on-fail", HISTORY]),
        Profile::Uninstall => words(&["uninstall", "--wait=watcher"]),
        Profile::Status => words(&["status", "--output=json"]),
        Profile::GetValues => words(&["get", "values", "--output=json"]),
        _ => words(&["history", "--output=json"]),
    };
    run.push(format!("--namespace={}", asked.namespace.as_str()));
    if matches!(profile, Profile::Rollback | Profile::Uninstall) {
        run.extend(asked.timeout_s.map(timeout));
        run.extend(asked.description.as_ref().map(|text| format!("--description={}", text.as_str())));
    }
    run.extend(asked.all.then(|| "--all".to_owned()));
    let of_flag = asked.revision.filter(|_| profile != Profile::Rollback);
    run.extend(of_flag.map(|revision| format!("--revision={revision}")));
    run.extend(["--".to_owned(), asked.name.as_str().to_owned()]);
    // 0 is the one before.
    run.extend(
        asked.revision.filter(|revision| profile == Profile::Rollback && *revision > 0).map(|it| it.to_string()),
    );
    run
}

fn timeout(seconds: u32) -> String {
    format!("--timeout={seconds}s")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests;
