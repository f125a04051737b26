//! Where credentials are, and what is done with their files by hand.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

/// Inside the state directory, as the first version named it.
const VOLUME: &str = ".claiflow_credentials";
const KEY: &str = "credential-key";

/// The stores of credentials beside the Secret `claiflow-credential`.
#[derive(Args, Clone, Debug, Default)]
pub struct Credentials {
    /// A directory with a file for each credential that the grants file gives to plugins: what stands in the header, such as
    /// `Bearer …`. A mounted Secret is one. It is only read.
    #[arg(long, env = "CLAIFLOW_CREDENTIALS", value_name = "DIRECTORY")]
    pub credentials: Option<PathBuf>,
    /// A directory in which this agent keeps credentials of the storage `volume`, encrypted. Inside the state directory when
    /// absent.
    #[arg(long, env = "CLAIFLOW_CREDENTIAL_VOLUME", value_name = "DIRECTORY")]
    pub credential_volume: Option<PathBuf>,
    /// The keys of that directory's files: 64 hexadecimal digits a line, the newest last. Inside the state directory when absent,
    /// and made there once it is needed.
    #[arg(long, env = "CLAIFLOW_CREDENTIAL_KEY", value_name = "FILE")]
    pub credential_key: Option<PathBuf>,
}

impl Credentials {
    /// The directory of encrypted files.
    #[must_use]
    pub fn volume(&self, state: &Path) -> PathBuf {
        self.credential_volume.clone().unwrap_or_else(|| state.join(VOLUME))
    }

    /// The file of its keys.
    #[must_use]
    pub fn key(&self, state: &Path) -> PathBuf {
        self.credential_key.clone().unwrap_or_else(|| state.join(KEY))
    }
}

/// See [`super::Other::Credential`].
#[derive(Subcommand)]
pub enum Credential {
    /// Encrypt every file under a new key, and forget the older ones. Run it again where it was interrupted; an agent may go on
    /// meanwhile.
    Rekey(Rekey),
}

/// See [`Credential::Rekey`].
#[derive(Args)]
#[command(
    after_help = "The exit code is 0 where every file is under the newest key, else 1.\n\nA key file that cannot be written here, such as a mounted Secret, gets its new key by hand, as its last line; `--keep` then leaves the older ones in it.\n\nExamples:\n  claiflow-agent credential rekey --state claiflow-agent-state\n  claiflow-agent credential rekey --state claiflow-agent-state --credential-key /keys/credential-key --keep"
)]
pub struct Rekey {
    /// The agent's state directory.
    #[arg(long, env = "CLAIFLOW_STATE", default_value = "claiflow-agent-state")]
    pub state: PathBuf,
    /// The cluster's uuid, under which the first version encrypted its files.
    #[arg(long, env = "CLAIFLOW_CLUSTER_UUID")]
    pub clusteruuid: Option<String>,
    /// Neither add a key nor take one away: encrypt under the last one of the file.
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    /// Where they are.
    pub credentials: Credentials,
}
