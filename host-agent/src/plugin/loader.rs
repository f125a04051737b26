//! From a file's bytes to a plugin that can be called, or the reason why not. Nothing here touches what serves now.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::{
    executor::commands::{CallSink, LogLevel},
    grants::{Grants, Unlisted},
};

use super::{
    bindings::LinkedPre,
    cache::{Cache, hex},
    call::{Errand, Order, Sandbox},
    caller::{Caller, Power, Surroundings},
    compile::{self, CompileError},
    config::Limits,
    description::{DESCRIPTION_MAX_BYTES, Description, is_name},
    engine::MEMORIES_MAX,
    source::PluginFile,
    state::CallState,
    surface::Surface,
};

const FAILED_MAX: usize = 256;

/// A plugin that can be called.
pub(super) struct Loaded {
    pub(super) name: String,
    pub(super) digest: [u8; 32],
    pub(super) surface: Surface,
    pub(super) description: Description,
    pub(super) guest: LinkedPre<CallState>,
}

/// Why a file is not loaded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoadError {
    pub(super) reason: String,
    /// The same file may load later although nothing changed.
    pub(super) retry: bool,
    /// Imports that nobody granted.
    pub(super) missing: Vec<String>,
}

impl LoadError {
    pub(super) fn lasting(reason: String) -> Self {
        Self { reason, retry: false, missing: Vec::new() }
    }
}

pub(super) struct Loader {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) surroundings: Arc<Surroundings>,
    pub(super) linker: Linker<CallState>,
    pub(super) cache: Option<Cache>,
    pub(super) worker: PathBuf,
    pub(super) limits: Limits,
    pub(super) runtime: Handle,
    /// Bytes that did not compile or describe themselves, and will not the next time either.
    pub(super) failed: HashMap<[u8; 32], String>,
}

impl Loader {
    /// Every check in the order of `plugins.md`. Blocks while the component compiles and describes itself.
    pub(super) fn load(&mut self, stem: &str, file: &PluginFile, grants: &Grants) -> Result<Loaded, LoadError> {
        if !is_name(stem) {
            return Err(LoadError::lasting("a plugin's name has letters, digits, `_`, `-` and `.` only".into()));
        }
        let surface = Surface::read(&file.bytes).map_err(LoadError::lasting)?;
        admit(stem, &file.digest, &surface, grants).map_err(|reason| LoadError {
            missing: surface.missing(grants.plugins.get(stem)),
            ..LoadError::lasting(reason)
        })?;
        self.prepare(stem, file, surface)
    }

    /// Everything but what the operator decides.
    pub(super) fn prepare(&mut self, stem: &str, file: &PluginFile, surface: Surface) -> Result<Loaded, LoadError> {
        if let Some(reason) = self.failed.get(&file.digest) {
            return Err(LoadError::lasting(reason.clone()));
        }
        let prepared = self.component(file).and_then(|component| {
            let guest = self.link(&component)?;
            let description = self.describe(&guest, stem, &file.digest)?;
            Ok((guest, description))
        });
        let (guest, description) = prepared.inspect_err(|error| {
            if !error.retry && self.failed.len() < FAILED_MAX {
                self.failed.insert(file.digest, error.reason.clone());
            }
        })?;
        let description = Description::parse(&description, stem).map_err(LoadError::lasting)?;
        surface.signatures().agree(&description.version).map_err(LoadError::lasting)?;
        Ok(Loaded { name: stem.to_owned(), digest: file.digest, surface, description, guest })
    }

    fn component(&self, file: &PluginFile) -> Result<Component, LoadError> {
        if let Some(code) = self.cache.as_ref().and_then(|cache| cache.get(&file.digest)) {
            match self.adopt(&code) {
                Ok(component) => return Ok(component),
                Err(error) => tracing::warn!(digest = hex(&file.digest), "cached code is made again: {error:#}"),
            }
        }
        let code = compile::compile(&self.worker, &file.bytes).map_err(|error| LoadError {
            retry: matches!(error, CompileError::Worker(_)),
            ..LoadError::lasting(error.to_string())
        })?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.put(&file.digest, &code)
        {
            tracing::warn!(digest = hex(&file.digest), "compiled code is not cached: {error}");
        }
        self.adopt(&code).map_err(|error| LoadError::lasting(format!("its compiled code is refused: {error:#}")))
    }

    fn adopt(&self, code: &[u8]) -> wasmtime::Result<Component> {
        #[expect(
            unsafe_code,
            reason = "loading native code; it comes from our compile worker or our own cache directory"
        )]
        // SAFETY: `code` was made by `Engine::precompile_component` of this program, in the compile worker, and came over
        // its pipe or from a directory that only this user writes, where a checksum shows torn entries. The plugin mount
        // is never read for it, and wasmtime checks its own version and settings in the header.
        unsafe {
            Component::deserialize(&self.sandbox.engine, code)
        }
    }

    fn link(&self, component: &Component) -> Result<LinkedPre<CallState>, LoadError> {
        let memories = component.resources_required().map_or(MEMORIES_MAX + 1, |needs| needs.num_memories);
        if memories > MEMORIES_MAX {
            return Err(LoadError::lasting(format!("it has more than {MEMORIES_MAX} linear memory")));
        }
        let linked: wasmtime::Result<InstancePre<CallState>> = self.linker.instantiate_pre(component);
        linked.and_then(LinkedPre::new).map_err(|error| {
            LoadError::lasting(format!("it does not fit the contract `claiflow:plugin@1.0.0`: {error:#}"))
        })
    }

    /// Trial instantiation and `describe`. The store has no task behind it: lines go nowhere, and every host call refuses.
    fn describe(&self, guest: &LinkedPre<CallState>, stem: &str, digest: &[u8; 32]) -> Result<String, LoadError> {
        let limits = Limits { output_bytes: DESCRIPTION_MAX_BYTES, ..self.limits };
        let caller = Caller {
            plugin: stem.to_owned(),
            digest: *digest,
            power: Power::Nothing,
            task: String::new(),
            surroundings: self.surroundings.clone(),
        };
        let order = Order {
            guest,
            caller,
            errand: Errand::Describe,
            limits: &limits,
            remaining: Duration::MAX,
            sink: Arc::new(Unheard),
            notes: 0,
            stop: CancellationToken::new(),
        };
        let (said, _usage) = self.runtime.block_on(self.sandbox.make(order));
        said.map_err(|failed| LoadError {
            retry: failed.code == "unavailable",
            ..LoadError::lasting(format!("`describe`: {}", failed.message))
        })
    }
}

/// What the operator decides about a file before it runs at all; asked again whenever the grants change.
pub(super) fn admit(stem: &str, digest: &[u8; 32], surface: &Surface, grants: &Grants) -> Result<(), String> {
    let grant = grants.plugins.get(stem);
    if grant.is_none() && grants.unlisted == Unlisted::Deny {
        return Err(format!("the grants file says `unlisted: deny` and has no entry `plugins: {{{stem}: {{}}}}`"));
    }
    if let Some(pin) = grant.and_then(|grant| grant.sha256)
        && pin != *digest
    {
        return Err(format!("the file's SHA-256 is {}; the grants file pins {}", hex(digest), hex(&pin)));
    }
    surface.signatures().check(stem, grants)?;
    surface.check(stem, grant)
}

/// What the operator decides about a plugin: whether it may be there, and that its `config` fits its own schema.
pub(super) fn accept(loaded: &Loaded, grants: &Grants) -> Result<(), String> {
    admit(&loaded.name, &loaded.digest, &loaded.surface, grants)?;
    configured(loaded, grants)
}

/// Whether the operator's `config` fits the plugin's own schema.
pub(super) fn configured(loaded: &Loaded, grants: &Grants) -> Result<(), String> {
    let Some(schema) = &loaded.description.config else { return Ok(()) };
    let config = grants.plugins.get(&loaded.name).map(|grant| grant.config.clone()).unwrap_or_default();
    schema.check(&serde_json::Value::Object(config)).map_err(|mistakes| {
        format!("`plugins.{}.config` in the grants file does not satisfy the plugin's schema: {mistakes}", loaded.name)
    })
}

struct Unheard;

#[async_trait::async_trait]
impl CallSink for Unheard {
    fn log(&self, _: LogLevel, _: &str, _: &[(String, String)]) {}

    fn progress(&self, _: u64, _: u64, _: &str) {}

    async fn note(&self, _: String) -> bool {
        false
    }
}
