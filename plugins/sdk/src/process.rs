//! Programs of the agent's image, as far as the operator granted them. Needs `capabilities = ["process"]` beside the plugin's name in
//! `Cargo.toml`.
//!
//! ```
//! use claiflow_sdk::{Error, process, testing::Programs};
//!
//! fn releases() -> Result<String, Error> {
//!     let ended = process::run("helm.list", &serde_json::json!({"namespace": "shop"}), b"")?;
//!     Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
//! }
//!
//! // In a test, with a program that is played:
//! let programs = Programs::new();
//! programs.answers("helm.list", 0, "[]", "");
//! assert_eq!(releases().unwrap(), "[]");
//! assert_eq!(programs.started()[0].args["namespace"], "shop");
//! ```
//!
//! A plugin names a *profile* and its arguments; flags, files, environment and identity are the agent's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, outside, task};

const PIECE_BYTES: u32 = 256 << 10;
const PIECE: Duration = Duration::from_secs(2);
/// What is kept of its error output, from its end.
const STDERR_BYTES: usize = 64 << 10;

/// A program that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub end: End,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// The end of what it complained about.
    pub stderr: Vec<u8>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Default for End {
    fn default() -> Self {
        Self::Exit(0)
    }
}

impl Ended {
    /// Whether it says that all went well.
    pub fn is_success(&self) -> bool {
        self.end == End::Exit(0)
    }
}

/// Runs a program to its end. Once the call should stop, the program is asked to end; what it still says is waited for.
///
/// # Errors
/// `denied`, `invalid` and what else the agent answers instead of starting it, with the detail `effect: none`; without one where it
/// was started and nobody knows how it ended.
pub fn run(profile: &str, args: &impl Serialize, stdin: &[u8]) -> Result<Ended, Error> {
    let args = serde_json::to_string(args)?;
    let child = outside::process::start(profile, &args, stdin)?;
    let (mut stdout, mut stderr, mut asked) = (Vec::new(), Vec::new(), false);
    while let Some((stream, data)) = child.read(PIECE_BYTES, milliseconds(PIECE))? {
        if stream == "stderr" {
            stderr.extend(data);
            let surplus = stderr.len().saturating_sub(STDERR_BYTES);
            stderr.drain(..surplus);
        } else {
            stdout.extend(data);
        }
        if !asked && task::stop_requested().is_some() {
            child.terminate();
            asked = true;
        }
    }
    let end: End = serde_json::from_str(&child.wait()?)?;
    Ok(Ended { end, stdout, stderr })
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
