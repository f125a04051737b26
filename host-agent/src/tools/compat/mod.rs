//! `claiflow-agent compat`: whether an agent and a file, or a file and the one that it replaces, still fit.

mod contract;
mod guests;
mod schema;

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use serde::Serialize;

use crate::plugin::{Portrait, SystemClock, portrait};

use super::shown;

/// See [`super::Tool::Compat`].
#[derive(Args, Debug)]
#[command(
    after_help = "With one file: whether this agent serves what it imports. With two: what becomes of those who use OLD when NEW \
                        takes its place. The exit code is 1 where something breaks.\n\nExamples:\n  \
                        claiflow-agent compat plugins/dist/restart-tool.wasm\n  \
                        claiflow-agent compat released/restart-tool.wasm plugins/dist/restart-tool.wasm --json"
)]
pub struct Compat {
    /// A component file, NAME.wasm: the one that serves now, where there are two.
    #[arg(value_name = "OLD|FILE")]
    pub old: PathBuf,
    /// The one that would take its place.
    #[arg(value_name = "NEW")]
    pub new: Option<PathBuf>,
    /// Write JSON, for programs.
    #[arg(long)]
    pub json: bool,
    /// Where compiled code is kept; compiled each time when absent.
    #[arg(long, value_name = "DIRECTORY")]
    pub cache: Option<PathBuf>,
}

/// Something that is not as it was, or as it should be.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// Whether somebody who relied on the old has to act.
    breaks: bool,
    /// `load`, `contract`, `import`, `command`, `inputs`, `outputs` or `effect`.
    what: &'static str,
    /// The import or the command.
    of: String,
    /// One sentence without a full stop.
    why: String,
    /// Lines of the contract that say it, with file and line, or YAML for the grants file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quotes: Vec<String>,
}

impl Finding {
    fn breaks(what: &'static str, of: &str, why: impl Into<String>) -> Self {
        Self { breaks: true, what, of: of.to_owned(), why: why.into(), quotes: Vec::new() }
    }

    fn fits(what: &'static str, of: &str, why: impl Into<String>) -> Self {
        Self { breaks: false, ..Self::breaks(what, of, why) }
    }

    fn quoting(self, quotes: Vec<String>) -> Self {
        Self { quotes, ..self }
    }
}

#[derive(Serialize)]
struct Report {
    fits: bool,
    findings: Vec<Finding>,
}

impl Compat {
    /// True: nothing breaks.
    pub(super) async fn start(self, program: PathBuf) -> Result<bool, String> {
        let clock = Arc::new(SystemClock::new());
        let old = portrait(&self.old, self.cache.clone(), program.clone(), clock.clone()).await?;
        let (title, findings) = match &self.new {
            None => (format!("{} and this agent", whole(&old)), contract::check(&old)),
            Some(new) => {
                let new = portrait(new, self.cache.clone(), program, clock).await?;
                let mut findings = contract::check(&new);
                findings.extend(guests::compare(&old, &new)?);
                (format!("{} → {}", whole(&old), whole(&new)), findings)
            }
        };
        let fits = !findings.iter().any(|finding| finding.breaks);
        if self.json {
            let report = Report { fits, findings };
            shown(serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?)?;
            return Ok(fits);
        }
        shown(title)?;
        for finding in &findings {
            let Finding { breaks, what, of, why, quotes } = finding;
            shown(format_args!("  {} {what} `{of}`: {why}", if *breaks { "BREAKS" } else { "      " }))?;
            for quote in quotes {
                shown(format_args!("           {quote}"))?;
            }
        }
        shown(match (fits, findings.is_empty()) {
            (true, true) if self.new.is_none() => "  fits: all that it imports is served here, where it is granted",
            (true, true) => "  fits: nothing differs that anybody could see",
            (true, false) => "  fits",
            (false, _) => "  does not fit",
        })?;
        Ok(fits)
    }
}

/// The lines of the contract that a reason speaks of, each behind a line end.
pub(super) fn quoted(reason: &str) -> String {
    contract::quotes(reason).iter().map(|quote| format!("\n  {quote}")).collect()
}

fn whole(portrait: &Portrait) -> String {
    let digest = portrait.sha256.get(..12).unwrap_or(&portrait.sha256);
    let version = if portrait.version.is_empty() { "(version not known)" } else { &portrait.version };
    format!("{} {version} (sha256 {digest}…)", portrait.name)
}
