//! One plugin file, loaded as an agent loads it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    credentials::Stores,
    executor::commands::{Commands as _, Declared, Effect, PluginEntry, PluginState, Server},
    http::{Client, outgoing, tape::Tape},
    kubernetes::{Cluster, Place},
    plugin::{Config, Limits, Runtime, SystemClock, hex},
};

use super::call::{Call, read};

/// A plugin that can be called.
pub(super) struct Stage {
    pub(super) runtime: Arc<Runtime>,
    pub(super) clock: Arc<SystemClock>,
    pub(super) plugin: PluginEntry,
    pub(super) limits: Limits,
    /// Lives as long as the runtime reads from it.
    _mount: Mount,
}

impl Stage {
    /// Loads it. `slots`: calls at once. `tape`: what records or answers requests over HTTP.
    ///
    /// # Errors
    /// Why the file does not load, and what would help.
    pub(super) async fn open(
        call: &Call,
        cluster: Option<Arc<Cluster>>,
        slots: usize,
        tape: Option<Tape>,
        program: PathBuf,
    ) -> Result<Self, String> {
        let mount = Mount::of(&call.file)?;
        let mut grants = call.grants.clone();
        if let (true, Some(path)) = (call.unpinned, &grants) {
            let unpinned = unpinned(path, &call.file)?;
            let aside = mount.0.join("grants.yaml");
            std::fs::write(&aside, unpinned).map_err(|error| format!("{}: {error}", aside.display()))?;
            grants = Some(aside);
        } else if let Some(path) = &grants {
            // A serving agent starts without one; here a wrong path is a mistake.
            read(path).map_err(|reason| format!("--grants {reason}"))?;
        }
        let clock = Arc::new(SystemClock::new());
        // A replay has no secrets; else only what the author names: what an agent keeps for its plugins is not an author's.
        let has_secrets = !matches!(tape, Some(Tape::Player(_)));
        let credentials = Arc::new(Stores::new(call.credentials.clone().filter(|_| has_secrets), None, None));
        let http = match tape {
            Some(tape @ Tape::Player(_)) => Arc::new(Client::default().taped(tape)),
            tape => outgoing(credentials.clone(), cluster.as_deref().and_then(Cluster::address), tape).await,
        };
        let config = Config {
            grants,
            cache: call.cache.clone(),
            cluster,
            http,
            credentials,
            ..Config::new(vec![mount.0.clone()], program)
        };
        let limits = config.limits;
        let runtime = Runtime::open(Config { slots: config.slots.max(slots), ..config }, clock.clone())
            .map_err(|error| error.to_string())?;
        runtime.settled().await;
        let inventory = runtime.inventory().borrow().clone();
        let name = stem(&call.file);
        let plugin = inventory.plugins.iter().find(|plugin| plugin.name == name).cloned();
        let plugin = plugin.ok_or_else(|| format!("{}: it was not loaded", call.file.display()))?;
        if plugin.state != PluginState::Ready {
            let unfit = plugin.reason.contains("does not fit");
            let quotes = if unfit { super::compat::quoted(&plugin.reason) } else { String::new() };
            return Err(format!("{}: {}{quotes}", call.file.display(), plugin.reason));
        }
        Ok(Self { runtime, clock, plugin, limits, _mount: mount })
    }

    /// Refuses a command that the file does not serve, and says which it does.
    ///
    /// # Errors
    /// The commands that are there.
    pub(super) fn check(&self, command: &str) -> Result<(), String> {
        if self.runtime.server_of(command).is_some() {
            return Ok(());
        }
        let inventory = self.runtime.inventory().borrow().clone();
        let names: Vec<_> = inventory.commands.iter().map(|command| format!("\n  {}", command.name)).collect();
        let serves = if names.is_empty() { " nothing under this grant".to_owned() } else { names.concat() };
        let reason = &self.plugin.reason;
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        Err(format!("`{}` does not serve `{command}`{reason}; it serves{serves}", self.plugin.name))
    }

    /// The pattern that a command's name matched; none: the plugin declares the name.
    pub(super) fn pattern_of(&self, command: &str) -> Option<String> {
        let declared = self.runtime.server_of(command)?.declared_as;
        (declared != command).then_some(declared)
    }

    /// Rules over the inputs are evaluated where a flow runs; here nothing follows that they could protect.
    pub(super) fn effect_of(&self, command: &str) -> Effect {
        match self.runtime.server_of(command) {
            Some(Server { effect: Declared::Class(effect), floor, .. }) => effect.max(floor),
            _ => Effect::Never,
        }
    }
}

/// The way to the cluster that the flags name.
///
/// # Errors
/// Which kubeconfig or account cannot be used, and why.
pub(super) async fn cluster(call: &Call) -> Result<Option<Arc<Cluster>>, String> {
    let place = Place { kubeconfig: call.kubernetes.kubeconfig.clone(), namespace: call.kubernetes.namespace.clone() };
    Cluster::open(place).await.map_err(|error| error.to_string())
}

/// What a plugin is called by its file.
pub(super) fn stem(file: &Path) -> String {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.strip_suffix(".wasm").unwrap_or(&name).to_owned()
}

/// Lower-case hexadecimal digits of a file's SHA-256.
///
/// # Errors
/// Why it cannot be read.
fn digest(file: &Path) -> Result<String, String> {
    use sha2::Digest as _;
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(hex(&sha2::Sha256::digest(bytes)))
}

/// The grants file with the plugin's pin set to this very file.
fn unpinned(grants: &Path, file: &Path) -> Result<String, String> {
    let wrong = |error: serde_yaml_ng::Error| format!("--grants {}: {error}", grants.display());
    let text = read(grants).map_err(|reason| format!("--grants {reason}"))?;
    let mut value: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).map_err(wrong)?;
    let entry = value.get_mut("plugins").and_then(|plugins| plugins.get_mut(stem(file)));
    if let Some(serde_yaml_ng::Value::Mapping(entry)) = entry {
        entry.insert("sha256".into(), digest(file)?.into());
    }
    serde_yaml_ng::to_string(&value).map_err(wrong)
}

/// What `--inputs` and a recording say together: the text of a JSON object.
pub(super) fn object(value: &Value) -> String {
    if value.is_null() { "{}".to_owned() } else { value.to_string() }
}

/// A directory that holds nothing but a link to the one file.
struct Mount(PathBuf);

impl Mount {
    fn of(file: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", file.display());
        let target = file.canonicalize().map_err(failed)?;
        let name = file.file_name().filter(|name| name.to_string_lossy().ends_with(".wasm"));
        let name = name.ok_or_else(|| format!("{}: a plugin's file ends in .wasm", file.display()))?;
        let mount = Self(std::env::temp_dir().join(format!(
            "claiflow-run-{}-{}",
            std::process::id(),
            uuid::Uuid::new_v4().simple()
        )));
        std::fs::create_dir(&mount.0).map_err(failed)?;
        std::os::unix::fs::symlink(target, mount.0.join(name)).map_err(failed)?;
        Ok(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What cannot be removed is a link in the temporary directory, and nothing else.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
