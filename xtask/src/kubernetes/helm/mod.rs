//! Releases of charts, by the real Helm on a real control plane.

mod dead;
mod refusals;
mod rollout;
mod secrets;
mod sources;
mod stage;
mod templates;

use anyhow::{Context as _, Result};

use super::{charts::Repository, house::House};
use crate::registry::Registry;
use stage::Stage;

/// A credential that nobody may see.
const LOGIN: &str = "ann:planted-0f9a8b7c6d5e";

/// All of it, with one agent.
pub(super) fn stories(house: &House<'_>) -> Result<()> {
    let helm = crate::helm::ready()?;
    let directory = tempfile::tempdir()?;
    let open = Repository::start(&helm, &directory.path().join("open"), None)?;
    let closed = Repository::start(&helm, &directory.path().join("closed"), Some(LOGIN))?;
    let registry = Registry::start(&directory.path().join("registry"))?;
    let at = directory.path().join("agent");
    let credential = ("charts", LOGIN, closed.url.as_str());
    let mut stage = Stage::open(house, &helm, &at, credential, Some(&registry.address))?;
    stage.start()?;
    told("the nine predefined templates run", templates::run(&stage, &open))?;
    told("charts come by address, name, registry and archive", sources::each(&stage, &open, &registry))?;
    told("a credential is seen by its repository alone", secrets::kept(&stage, &closed))?;
    told("what goes wrong says what to do", refusals::told(&stage, &open))?;
    told("an upgrade whose agent died is taken up again", dead::resumed(&mut stage, &open))?;
    told("a rollout stays or is taken back, as Prometheus says", rollout::watched(&stage, &open))
}

fn told(story: &'static str, outcome: Result<()>) -> Result<()> {
    eprintln!("     {} Helm: {story}", if outcome.is_ok() { "ok  " } else { "FAIL" });
    outcome.context(story)
}
