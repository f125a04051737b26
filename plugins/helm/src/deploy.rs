//! `helm.install` and `helm.upgrade`.

use claiflow_sdk::{Context, Error, Verdict, command};
use serde_json::{Map, Value, json};

use crate::{
    chart::{Charted, charted},
    failure::About,
    former::Former,
    helm, history, mark,
    release::{self, Release},
    repair, timeout,
};

charted! {
    /// What to install where.
    Install {
        /// How long is waited until all is ready, minutes; absent: 5.
        #[schemars(range(min = 1))]
        timeout: Option<u32>,
    }
}

charted! {
    /// What to upgrade to what.
    Upgrade {
        /// How long is waited until all is ready, minutes; absent: 5.
        #[schemars(range(min = 1))]
        timeout: Option<u32>,
        /// Begin with the values of the last revision.
        reuse_values: Option<bool>,
    }
}

/// Installs a chart as a new release, waits until it is ready, and takes it away again where it is not.
///
/// The namespace is made if there is none.
#[command("helm.install", effect = "verify", verify = installed)]
pub fn install(inputs: Former<Install>, context: &Context) -> Result<Release, Error> {
    let inputs = inputs.known();
    let charted = inputs.charted();
    deploy(Kind::Install, &charted, charted.args(), inputs.timeout, context)
}

/// Upgrades a release to a chart, its version or its values, waits until it is ready, and takes it back where it is not.
#[command("helm.upgrade", effect = "verify", verify = upgraded)]
pub fn upgrade(inputs: Former<Upgrade>, context: &Context) -> Result<Release, Error> {
    let inputs = inputs.known();
    let charted = inputs.charted();
    let mut args = charted.args();
    args.insert("reuse_values".to_owned(), json!(inputs.reuse_values.unwrap_or_default()));
    deploy(Kind::Upgrade, &charted, args, inputs.timeout, context)
}

fn installed(inputs: Former<Install>, context: &Context) -> Result<Verdict<Release>, Error> {
    deployed(&inputs.known().charted(), context)
}

fn upgraded(inputs: Former<Upgrade>, context: &Context) -> Result<Verdict<Release>, Error> {
    deployed(&inputs.known().charted(), context)
}

/// What is done to the release.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Install,
    Upgrade,
}

impl Kind {
    fn profile(self) -> &'static str {
        match self {
            Self::Install => "helm.install",
            Self::Upgrade => "helm.upgrade",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Install => "Install complete",
            Self::Upgrade => "Upgrade complete",
        }
    }
}

fn deploy(
    kind: Kind,
    charted: &Charted<'_>,
    mut args: Map<String, Value>,
    minutes: Option<u32>,
    context: &Context,
) -> Result<Release, Error> {
    let Charted { name, namespace, .. } = *charted;
    let timeout_s = timeout::seconds(minutes);
    repair::before(kind, name, namespace, timeout_s, context)?;
    args.insert("timeout_s".to_owned(), json!(timeout_s));
    args.insert("description".to_owned(), json!(mark::described(kind.done(), context)));
    if !context.effect_key.is_empty() {
        args.insert("effect_key".to_owned(), json!(context.effect_key));
    }
    let about = About { release: Some((name, namespace)), timeout_s: Some(timeout_s) };
    let output = helm::run(kind.profile(), &args, &charted.stdin(), &about)?;
    Ok(release::read(&output)?.release)
}

/// A revision that is deployed says which call made it. One that is pending or failed is repaired by the next attempt.
fn deployed(charted: &Charted<'_>, context: &Context) -> Result<Verdict<Release>, Error> {
    let revisions = history::known(charted.name, charted.namespace)?;
    match history::deployed_by(&revisions, context) {
        Some(ours) => Ok(Verdict::Done(release::at(charted.name, charted.namespace, ours.revision)?)),
        None => Ok(Verdict::NotDone),
    }
}
