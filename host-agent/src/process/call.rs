//! One call of a profile: what a guest asks for, checked.

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Failure, Profile,
    chart::{Chart, web},
    checked::{CredentialName, Description, EffectKey, Namespace, ReleaseName, RepositoryName, Version},
};

const ARGS_MAX_BYTES: usize = 32 << 20;
const TIMEOUT_MAX_S: u32 = 24 * 3_600;
const TIMEOUT_S: u32 = 300;

/// What is asked of a profile. It can be made only of what passed every check.
#[derive(Clone, Debug)]
pub struct Call {
    profile: Profile,
    pub(super) asked: Asked,
}

/// By what profiles need.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// `helm.install`, `helm.upgrade` and `helm.template`.
    Deploy(Deploy),
    /// `helm.rollback`, `helm.uninstall`, `helm.history`, `helm.status`, `helm.get_values`.
    Release(Release),
    List(List),
    RepoAdd(RepoAdd),
    RepoUpdate(RepositoryName),
    RepoList,
}

#[derive(Clone, Debug)]
pub(super) struct Deploy {
    pub(super) name: ReleaseName,
    pub(super) namespace: Namespace,
    pub(super) chart: Chart,
    pub(super) version: Option<Version>,
    pub(super) credential: Option<CredentialName>,
    pub(super) timeout_s: u32,
    pub(super) reuse_values: bool,
    pub(super) effect_key: Option<EffectKey>,
    pub(super) description: Option<Description>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Release {
    pub(super) name: ReleaseName,
    pub(super) namespace: Namespace,
    /// Of `helm.rollback`, `helm.status` and `helm.get_values`.
    pub(super) revision: Option<u32>,
    /// Of `helm.get_values`.
    #[serde(default)]
    pub(super) all: bool,
    /// Of `helm.rollback` and `helm.uninstall`.
    pub(super) timeout_s: Option<u32>,
    /// Of `helm.rollback` and `helm.uninstall`.
    pub(super) description: Option<Description>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    /// None: every namespace.
    pub(super) namespace: Option<Namespace>,
    /// Releases whose newest revision the call of this key made.
    pub(super) effect_key: Option<EffectKey>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepoAdd {
    pub(super) repo_name: RepositoryName,
    pub(super) repo_url: String,
    pub(super) credential: Option<CredentialName>,
    /// Takes the place of what another address is kept for.
    #[serde(default)]
    pub(super) replace: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeployArgs {
    name: ReleaseName,
    namespace: Namespace,
    chart: Option<String>,
    repo_url: Option<String>,
    repo_name: Option<RepositoryName>,
    archive: Option<String>,
    version: Option<Version>,
    credential: Option<CredentialName>,
    timeout_s: Option<u32>,
    #[serde(default)]
    reuse_values: bool,
    effect_key: Option<EffectKey>,
    description: Option<Description>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RepoUpdate {
    repo_name: RepositoryName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Call {
    /// Reads the arguments of a profile; `args` is a JSON object.
    ///
    /// # Errors
    /// `invalid`: which argument is wrong and what would be right.
    pub fn read(profile: Profile, args: &str) -> Result<Self, Failure> {
        if args.len() > ARGS_MAX_BYTES {
            return Err(Failure::new("too-large", format!("the arguments have more than {ARGS_MAX_BYTES} bytes")));
        }
        let asked = match profile {
            Profile::Install | Profile::Upgrade | Profile::Template => Asked::Deploy(deploy(profile, args)?),
            Profile::Rollback | Profile::Uninstall | Profile::History | Profile::Status | Profile::GetValues => {
                Asked::Release(release(profile, args)?)
            }
            Profile::List => Asked::List(object(profile, args)?),
            Profile::RepoAdd => {
                let asked: RepoAdd = object(profile, args)?;
                Asked::RepoAdd(RepoAdd { repo_url: web(&asked.repo_url, "repo_url")?, ..asked })
            }
            Profile::RepoUpdate => Asked::RepoUpdate(object::<RepoUpdate>(profile, args)?.repo_name),
            Profile::RepoList => {
                object::<Nothing>(profile, args)?;
                Asked::RepoList
            }
        };
        Ok(Self { profile, asked })
    }

    /// Of which profile.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// Namespace and name of the release that it is about, as one text.
    pub(super) fn release(&self) -> Option<String> {
        let (namespace, name) = match &self.asked {
            Asked::Deploy(deploy) => (&deploy.namespace, &deploy.name),
            Asked::Release(release) => (&release.namespace, &release.name),
            _ => return None,
        };
        Some(format!("{}/{}", namespace.as_str(), name.as_str()))
    }

    /// The kept repository that it is about.
    pub(super) fn repository(&self) -> Option<&RepositoryName> {
        match &self.asked {
            Asked::Deploy(Deploy { chart: Chart::InKept { repository, .. }, .. }) => Some(repository),
            Asked::RepoUpdate(name) => Some(name),
            _ => None,
        }
    }
}

fn deploy(profile: Profile, args: &str) -> Result<Deploy, Failure> {
    let args: DeployArgs = object(profile, args)?;
    let chart = Chart::read(args.chart, args.repo_url, args.repo_name, args.archive.as_deref())?;
    if args.credential.is_some() {
        match chart {
            Chart::InRepository { .. } | Chart::Registry(_) => {}
            Chart::InKept { .. } => {
                return Err(Failure::invalid(
                    "credential: a repository by name has its own; name it in `helm.repo_add`",
                ));
            }
            Chart::Archive(_) | Chart::Bytes(_) => {
                return Err(Failure::invalid("credential: it goes with `repo_url` or an `oci://` address"));
            }
        }
    }
    if args.reuse_values && profile != Profile::Upgrade {
        return Err(Failure::invalid("reuse_values: only `helm.upgrade` has values to begin with"));
    }
    Ok(Deploy {
        name: args.name,
        namespace: args.namespace,
        chart,
        version: args.version,
        credential: args.credential,
        timeout_s: timeout(args.timeout_s)?,
        reuse_values: args.reuse_values,
        effect_key: args.effect_key,
        description: args.description,
    })
}

fn release(profile: Profile, args: &str) -> Result<Release, Failure> {
    let args: Release = object(profile, args)?;
    let only = |given: bool, field: &str, profiles: &[Profile]| {
        if given && !profiles.contains(&profile) {
            return Err(Failure::invalid(format!("{field}: `{profile}` has no such argument")));
        }
        Ok(())
    };
    only(args.revision.is_some(), "revision", &[Profile::Rollback, Profile::Status, Profile::GetValues])?;
    only(args.all, "all", &[Profile::GetValues])?;
    only(args.timeout_s.is_some(), "timeout_s", &[Profile::Rollback, Profile::Uninstall])?;
    only(args.description.is_some(), "description", &[Profile::Rollback, Profile::Uninstall])?;
    let timeout_s = Some(timeout(args.timeout_s)?);
    Ok(Release { timeout_s, ..args })
}

fn timeout(seconds: Option<u32>) -> Result<u32, Failure> {
    let seconds = seconds.unwrap_or(TIMEOUT_S);
    if (1..=TIMEOUT_MAX_S).contains(&seconds) {
        return Ok(seconds);
    }
    Err(Failure::invalid(format!("timeout_s: {seconds} is not from 1 to {TIMEOUT_MAX_S}")))
}

fn object<T: DeserializeOwned>(profile: Profile, args: &str) -> Result<T, Failure> {
    serde_json::from_str(args)
        .map_err(|error| Failure::invalid(format!("the arguments of `{profile}` do not fit: {error}")))
}
