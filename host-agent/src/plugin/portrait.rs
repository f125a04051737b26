//! What a plugin's file imports and says of itself: for whoever compares it with another, or with this agent.
//!
//! The file is only asked to describe itself, in a sandbox in which every import refuses.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Clock, Config, cache::hex, description::is_name, host::lines::clean, imported, runtime::loader, source,
    surface::Surface,
};

const IMPORT_MAX_BYTES: usize = 256;
const REASON_MAX_BYTES: usize = 4 << 10;

/// A plugin's file as others see it.
#[derive(Clone, Debug)]
pub struct Portrait {
    /// The file's stem.
    pub name: String,
    /// As the plugin says; empty where it could not be asked.
    pub version: String,
    /// Lower-case hexadecimal digits.
    pub sha256: String,
    /// The version of the contract that it exports, such as `1.0.0`.
    pub contract: String,
    /// Sorted by name.
    pub imports: Vec<ImportPortrait>,
    /// In the plugin's order; empty where it could not be asked.
    pub commands: Vec<CommandPortrait>,
    /// Why it does not load whatever is granted.
    pub refused: Option<String>,
}

/// An interface that it imports.
#[derive(Clone, Debug)]
pub struct ImportPortrait {
    /// `package/interface@version`.
    pub name: String,
    /// The functions that it imports: `get`, `[method]listing.next`.
    pub functions: Vec<String>,
    /// Whether this agent has the interface, granted or not.
    pub served: bool,
    /// What in the grants file would grant it, in one line of YAML; none: nothing is needed.
    pub grant: Option<String>,
}

/// A command that it serves.
#[derive(Clone, Debug)]
pub struct CommandPortrait {
    /// Name or pattern.
    pub name: String,
    /// JSON Schemas as text, empty when not given.
    pub inputs_schema: String,
    /// See `inputs_schema`.
    pub outputs_schema: String,
    /// A class, or rules as JSON text.
    pub effect: String,
}

/// Looks at a file. `cache` holds compiled code; none compiles each time.
///
/// # Errors
/// What the file is instead of a plugin.
pub async fn portrait(
    file: &Path,
    cache: Option<PathBuf>,
    worker: PathBuf,
    clock: Arc<dyn Clock>,
) -> Result<Portrait, String> {
    let wrong = |reason: String| format!("{}: {reason}", file.display());
    let stem = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".wasm")).filter(|stem| is_name(stem));
    let name = stem.ok_or_else(|| wrong("a plugin's file is called NAME.wasm".to_owned()))?.to_owned();
    let config = Config { cache, ..Config::new(Vec::new(), worker) };
    let mut loader = loader(&config, clock).map_err(|error| error.to_string())?;
    let path = file.to_owned();
    // It waits for the compiler and for the sandbox.
    let looked = tokio::task::spawn_blocking(move || {
        let file = source::read(&path)?;
        let surface = Surface::read(&file.bytes)?;
        let functions = imported::functions(&file.bytes)?;
        let loaded = loader.prepare(&name, &file, surface.clone());
        let imports = surface.needs().map(|(import, served, grant)| ImportPortrait {
            // A name out of a file that nobody vouches for may hold anything.
            name: clean(import, IMPORT_MAX_BYTES),
            functions: functions.get(import).into_iter().flatten().map(|name| clean(name, IMPORT_MAX_BYTES)).collect(),
            served,
            grant: grant.map(|need| need.text()),
        });
        let mut portrait = Portrait {
            sha256: hex(&file.digest),
            version: String::new(),
            contract: clean(surface.contract(), IMPORT_MAX_BYTES),
            imports: imports.collect(),
            commands: Vec::new(),
            refused: None,
            name,
        };
        match loaded {
            Err(error) => portrait.refused = Some(clean(&error.reason, REASON_MAX_BYTES)),
            Ok(loaded) => {
                portrait.version = loaded.description.version;
                let command = |command: super::description::Command| CommandPortrait {
                    name: command.name,
                    inputs_schema: command.inputs_schema,
                    outputs_schema: command.outputs_schema,
                    effect: clean(&command.effect_text, REASON_MAX_BYTES),
                };
                portrait.commands = loaded.description.commands.into_iter().map(command).collect();
            }
        }
        Ok::<_, String>(portrait)
    });
    looked.await.map_err(|error| error.to_string())?.map_err(wrong)
}
