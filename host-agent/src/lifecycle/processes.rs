//! Where programs such as Helm are run, and as which user.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};

use crate::{
    config::Agent,
    process::{Processes, Settings},
};

/// What the flags say. Says aloud where programs run as the agent's own user.
///
/// # Errors
/// Which flag or directory cannot be used.
pub(super) fn open(agent: &Agent, program: PathBuf) -> Result<Arc<Processes>, String> {
    let is_root = rustix::process::geteuid().is_root();
    let uid = match agent.process_uid {
        Some(uid) if is_root => Some(uid),
        Some(_) => return Err("--process-uid: only an agent that is root runs programs as another user".to_owned()),
        None => {
            if is_root {
                tracing::warn!(
                    "programs such as Helm run as root, as the agent does; `--process-uid UID` names another user"
                );
            }
            None
        }
    };
    let settings = Settings {
        helm: agent.helm.clone(),
        search: std::env::var_os("PATH").unwrap_or_default(),
        worker: program,
        state: agent.state.join("repositories"),
        scratch: if uid.is_some() { passable(&agent.state) } else { agent.state.join("process") },
        uid,
        plain: agent.registry_plain.clone(),
    };
    Processes::open(settings).map_err(|error| format!("programs cannot be run: {error}"))
}

/// Another user does not come through the state directory; this place is told from that of other agents by it.
fn passable(state: &Path) -> PathBuf {
    let state = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    let digest = Sha256::digest(state.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    std::env::temp_dir().join(format!("claiflow-process-{name}"))
}
