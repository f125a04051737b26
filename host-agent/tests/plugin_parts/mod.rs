//! Real components made from a few lines of wat, and an agent's plugin runtime over a temporary directory.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use claiflow_agent::{
    executor::commands::{
        CallDone, CallFailed, CallSink, CommandCall, Commands, Effect, Inventory, LogLevel, PluginEntry, PluginState,
    },
    plugin::{Config, Runtime, SystemClock},
};
use tokio_util::sync::CancellationToken;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// Long enough for a debug build on a busy machine; nothing waits for it when things go well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A guest in the making.
pub struct Guest {
    describe: String,
    imports: String,
    world: String,
    describe_body: String,
    run_body: String,
    verify_body: String,
    items: String,
    pages: usize,
}

/// The result `{"0": discriminant, …}` lies at 64; these three lines answer ok with a text.
pub fn answer(pointer: &str, length: &str) -> String {
    format!(
        "(i32.store8 (i32.const 64) (i32.const 0)) (i32.store (i32.const 68) {pointer}) \
         (i32.store (i32.const 72) {length}) (i32.const 64)"
    )
}

pub fn echo() -> String {
    answer("(local.get 2)", "(local.get 3)")
}

pub fn echo_context() -> String {
    answer("(local.get 4)", "(local.get 5)")
}

impl Guest {
    /// Serves `commands` (a JSON list) and answers its inputs.
    pub fn new(name: &str, commands: &str) -> Self {
        Self {
            describe: format!(r#"{{"name":"{name}","version":"1.0.0","commands":{commands}}}"#),
            imports: String::new(),
            world: String::new(),
            describe_body: "(i32.const 16)".into(),
            run_body: echo(),
            verify_body: "unreachable".into(),
            items: String::new(),
            pages: 17,
        }
    }

    pub fn run(self, body: &str) -> Self {
        Self { run_body: body.into(), ..self }
    }

    pub fn verify(self, body: &str) -> Self {
        Self { verify_body: body.into(), ..self }
    }

    pub fn describe(self, body: &str) -> Self {
        Self { describe_body: body.into(), ..self }
    }

    pub fn says(self, text: &str) -> Self {
        Self { describe: text.into(), ..self }
    }

    /// Imports beyond the smallest world, as WIT and as wat.
    pub fn imports(self, world: &str, wat: &str) -> Self {
        Self { world: world.into(), imports: wat.into(), ..self }
    }

    /// Further items of the core module.
    pub fn items(self, items: &str) -> Self {
        Self { items: items.into(), ..self }
    }

    pub fn pages(self, pages: usize) -> Self {
        Self { pages, ..self }
    }

    /// The component's bytes.
    pub fn build(&self) -> Vec<u8> {
        self.build_against(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit"), "1.0.0")
    }

    /// The same for the contract of another version, in the directory `wit`.
    pub fn build_against(&self, wit: &Path, version: &str) -> Vec<u8> {
        let text = self.describe.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "\\{byte:02x}");
            text
        });
        let length = self.describe.len();
        let area: String = [1024_u32, u32::try_from(length).unwrap()]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .fold(String::new(), |text, byte| text + &format!("\\{byte:02x}"));
        let top = 1024 + length.next_multiple_of(16);
        let wat = format!(
            r#"(module
  {imports}
  (memory (export "memory") {pages})
  (global $top (mut i32) (i32.const {top}))
  (data (i32.const 16) "{area}")
  (data (i32.const 1024) "{text}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (if (i32.gt_u (global.get $top) (i32.mul (memory.size) (i32.const 65536)))
      (then (if (i32.eq (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1))) (i32.const -1))
        (then unreachable))))
    (local.get $at))
  (func (export "claiflow:plugin/handler@1.0.0#describe") (result i32) {describe})
  (func $run (export "claiflow:plugin/handler@1.0.0#run") (param i32 i32 i32 i32 i32 i32) (result i32) {run})
  (func (export "claiflow:plugin/handler@1.0.0#verify") (param i32 i32 i32 i32 i32 i32) (result i32) {verify})
  {items})"#,
            imports = self.imports,
            pages = self.pages,
            describe = self.describe_body,
            run = self.run_body,
            verify = self.verify_body,
            items = self.items,
        );
        let wat = wat.replace("handler@1.0.0#", &format!("handler@{version}#"));
        let mut module = wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}\n{wat}"));
        let mut resolve = wit_parser::Resolve::default();
        resolve.push_dir(wit).unwrap();
        let own =
            format!("package test:guest;\nworld guest {{ include claiflow:plugin/plugin@{version};\n{} }}", self.world);
        let package = resolve.push_str("guest.wit", &own).unwrap();
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
        ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
    }
}

/// An agent's plugins over temporary directories.
pub struct House {
    pub root: tempfile::TempDir,
    pub mount: PathBuf,
    pub runtime: Option<Arc<Runtime>>,
    pub config: Config,
}

impl House {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mount = root.path().join("plugins");
        std::fs::create_dir(&mount).unwrap();
        let config = Config {
            grants: Some(root.path().join("grants.yaml")),
            cache: Some(root.path().join("cache")),
            slots: 8,
            poll_interval: Duration::from_millis(100),
            ..Config::new(vec![mount.clone()], env!("CARGO_BIN_EXE_claiflow-agent"))
        };
        Self { root, mount, runtime: None, config }
    }

    pub fn put(&self, file: &str, bytes: &[u8]) {
        // As a careful operator does: a file appears whole.
        let temporary = self.root.path().join("incoming");
        std::fs::write(&temporary, bytes).unwrap();
        std::fs::rename(temporary, self.mount.join(file)).unwrap();
    }

    pub fn grant(&self, text: &str) {
        let temporary = self.root.path().join("grants.incoming");
        std::fs::write(&temporary, text).unwrap();
        std::fs::rename(temporary, self.root.path().join("grants.yaml")).unwrap();
    }

    pub async fn open(&mut self) {
        let runtime = Runtime::open(self.config.clone(), Arc::new(SystemClock::new())).unwrap();
        tokio::time::timeout(PATIENCE, runtime.settled()).await.expect("the first round ends");
        self.runtime = Some(runtime);
    }

    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.clone().expect("it is open")
    }

    /// Waits until the inventory is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Inventory) -> bool) -> Arc<Inventory> {
        let mut inventory = self.runtime().inventory();
        let seen = tokio::time::timeout(PATIENCE, inventory.wait_for(|inventory| wanted(inventory))).await;
        match seen {
            Ok(seen) => seen.unwrap().clone(),
            Err(_) => panic!("{what} did not come; there is {:#?}", self.runtime().inventory().borrow()),
        }
    }

    pub fn plugin(&self, name: &str) -> PluginEntry {
        let inventory = self.runtime().inventory().borrow().clone();
        inventory.plugins.iter().find(|plugin| plugin.name == name).cloned().unwrap_or_else(|| panic!("{inventory:#?}"))
    }

    /// Opens with one file and answers where it stands; a good neighbour beside it must serve.
    pub async fn verdict(file: &str, bytes: &[u8], grants: &str) -> PluginEntry {
        let mut house = Self::new();
        house.put(file, bytes);
        house.put("neighbour.wasm", &Guest::new("neighbour", r#"[{"name":"neighbour"}]"#).build());
        house.grant(grants);
        house.open().await;
        assert_eq!(house.plugin("neighbour").state, PluginState::Ready, "{:?}", house.plugin("neighbour"));
        assert_eq!(house.call("neighbour", "{}").await.unwrap().output, "{}");
        house.plugin(file.strip_suffix(".wasm").unwrap())
    }

    pub async fn call(&self, command: &str, inputs: &str) -> Result<CallDone, CallFailed> {
        self.runtime().call(call(command, inputs)).await
    }
}

/// A call as the executor makes it.
pub fn call(command: &str, inputs: &str) -> CommandCall {
    CommandCall {
        command: command.into(),
        inputs: inputs.into(),
        task: "0123456789abcdef0123456789abcdef".into(),
        step: "2/r[17]/p".into(),
        attempt: 3,
        effect: Effect::Never,
        effect_key: "key".into(),
        notes: Vec::new(),
        remaining: Duration::from_secs(600),
        traceparent: "00-trace".into(),
        sink: Arc::new(Heard::default()),
        stop: CancellationToken::new(),
    }
}

/// Level, message, fields.
pub type Line = (LogLevel, String, Vec<(String, String)>);

/// Keeps what a call said.
#[derive(Default)]
pub struct Heard {
    pub lines: Mutex<Vec<Line>>,
    pub progress: Mutex<Vec<(u64, u64, String)>>,
    pub notes: Mutex<Vec<String>>,
    /// No note is kept.
    pub refuses_notes: bool,
}

#[async_trait::async_trait]
impl CallSink for Heard {
    fn log(&self, level: LogLevel, message: &str, fields: &[(String, String)]) {
        self.lines.lock().unwrap().push((level, message.into(), fields.to_vec()));
    }

    fn progress(&self, done: u64, total: u64, message: &str) {
        self.progress.lock().unwrap().push((done, total, message.into()));
    }

    async fn note(&self, text: String) -> bool {
        // The call waits for it, as it does for a server.
        tokio::task::yield_now().await;
        self.notes.lock().unwrap().push(text);
        !self.refuses_notes
    }
}

/// The file that `build-plugin` made of a plugin of this repository, or none where nobody built it: said loudly, and a failure where
/// `CLAIFLOW_STRICT=1` asks for one.
pub fn built(file: &str) -> Option<Vec<u8>> {
    let Some(directory) = std::env::var_os("CLAIFLOW_TEST_PLUGINS").map(PathBuf::from) else {
        assert_ne!(std::env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "CLAIFLOW_TEST_PLUGINS names no directory");
        eprintln!("SKIPPED: CLAIFLOW_TEST_PLUGINS names no directory of built plugins, so {file} was not run");
        return None;
    };
    let path = directory.join(file);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// What the agent's program said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub output: String,
    pub error: String,
}

/// Runs the agent's program with words, in a folder; what the environment says of clusters and grants does not count.
pub fn agent(folder: &Path, words: &[&str]) -> Said {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_claiflow-agent"))
        .current_dir(folder)
        .env_remove("CLAIFLOW_GRANTS")
        .env_remove("CLAIFLOW_KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .args(words)
        .output()
        .unwrap();
    Said {
        code: output.status.code().unwrap(),
        output: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What the probe's calls gave, in their order.
pub fn outcomes(made: Result<CallDone, CallFailed>) -> Vec<serde_json::Value> {
    serde_json::from_str(&made.unwrap_or_else(|failed| panic!("{failed:?}")).output).unwrap()
}

/// A code and its words; `ok` and the JSON text of what a call gave.
pub fn said(outcome: &serde_json::Value) -> (&str, String) {
    match outcome.get("ok") {
        Some(value) => ("ok", value.to_string()),
        None => (outcome["error"]["code"].as_str().unwrap(), outcome["error"]["message"].as_str().unwrap().to_owned()),
    }
}

/// Looks again until it is so, or says what was awaited.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
