//! Files that are no good plugins, and conflicts between good ones. A neighbour serves beside each of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod plugin_parts;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::Duration;

use claiflow_agent::{
    executor::commands::{Commands, Declared, Effect, PluginState},
    plugin::Limits,
};
use plugin_parts::{Guest, House, eventually};

fn tool() -> Guest {
    Guest::new("tool", r#"[{"name":"go"}]"#)
}

async fn refused(what: &str, bytes: &[u8], grants: &str, part: &str) {
    let entry = House::verdict("tool.wasm", bytes, grants).await;
    assert_eq!(entry.state, PluginState::Refused, "{what}: {entry:?}");
    assert!(entry.reason.contains(part), "{what}: {}", entry.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_plugin_is_refused_with_what_it_is_instead() {
    let whole = tool().build();
    refused("empty", b"", "", "the file is empty").await;
    refused("text", b"hello, world, this is no wasm", "", "no component").await;
    refused("half", &whole[..whole.len() / 2], "", "truncated").await;
    refused("all but a byte", &whole[..whole.len() - 1], "", "truncated").await;
    refused("core module", &wat::parse_str("(module)").unwrap(), "", "core module").await;
    let other = wat::parse_str(r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#).unwrap();
    refused("another world", &other, "", "it exports wasi:cli/run@0.2.0").await;
    let hollow = wat::parse_str(r#"(component (instance $i) (export "claiflow:plugin/handler@1.0.0" (instance $i)))"#);
    refused("a handler without functions", &hollow.unwrap(), "", "does not fit the contract").await;
    let future = wat::parse_str(r#"(component (instance $i) (export "claiflow:plugin/handler@2.0.0" (instance $i)))"#);
    refused("a contract to come", &future.unwrap(), "", "handler@1.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_nobody_granted_is_refused_with_the_entry_that_would() {
    let reads = tool().imports(
        "import claiflow:plugin/kubernetes@1.0.0;",
        r#"(import "claiflow:plugin/kubernetes@1.0.0" "resources" (func $f (param i32)))"#,
    );
    let bytes = reads.build();
    refused("kubernetes", &bytes, "", "`plugins: {tool: {kubernetes: [{groups").await;
    let pin = hex(&sha256(&bytes));
    let grants = format!(
        "plugins: {{tool: {{sha256: {pin}, kubernetes: [{{groups: [apps], resources: [deployments], verbs: [get], namespaces: [shop]}}]}}}}"
    );
    let served = House::verdict("tool.wasm", &bytes, &grants).await;
    assert_eq!(served.state, PluginState::Ready, "{served:?}");

    let sends = tool().imports(
        "import wasi:http/outgoing-handler@0.2.12;",
        r#"(import "wasi:http/outgoing-handler@0.2.12" "handle" (func $f (param i32 i32 i32 i32)))"#,
    );
    let bytes = sends.build();
    refused("http", &bytes, "", "http: [{url: URL").await;
    let pin = hex(&sha256(&bytes));
    let grants =
        format!("plugins: {{tool: {{sha256: {pin}, http: [{{url: \"https://example.com\", methods: [GET]}}]}}}}");
    let served = House::verdict("tool.wasm", &bytes, &grants).await;
    assert_eq!(served.state, PluginState::Ready, "{served:?}");
    let runs = tool().imports(
        "import claiflow:plugin/credentials@1.0.0;",
        r#"(import "claiflow:plugin/credentials@1.0.0" "names" (func $f (param i32)))"#,
    );
    let bytes = runs.build();
    let pin = hex(&sha256(&bytes));
    let grants = format!(
        "plugins: {{tool: {{sha256: {pin}, credentials: {{x: {{hosts: [\"https://example.com\"], methods: [GET]}}}}}}}}"
    );
    let served = House::verdict("tool.wasm", &bytes, &grants).await;
    assert_eq!(served.state, PluginState::Ready, "{served:?}");
    let changes = tool().imports(
        "import claiflow:plugin/credentials-admin@1.0.0;",
        r#"(import "claiflow:plugin/credentials-admin@1.0.0" "entries" (func $f (param i32)))"#,
    );
    // No grant gives it to another plugin than `claiflow`.
    refused("the system's own", &changes.build(), "", "given to the plugin `claiflow` alone").await;
    let own = wat::parse_str(
        r#"(component (import "evil:host/all@1.0.0" (instance)) (instance $i) (export "claiflow:plugin/handler@1.0.0" (instance $i)))"#,
    );
    refused("unheard of", &own.unwrap(), "", "which no agent gives to a plugin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_decides_which_file_loads() {
    let bytes = tool().build();
    refused("unlisted", &bytes, "unlisted: deny\nplugins: {neighbour: {}}", "`unlisted: deny`").await;
    refused("pinned to another", &bytes, &format!("plugins: {{tool: {{sha256: {}}}}}", "0".repeat(64)), "pins 0000")
        .await;
    let right = format!("plugins: {{tool: {{sha256: {}}}}}", hex(&sha256(&bytes)));
    assert_eq!(House::verdict("tool.wasm", &bytes, &right).await.state, PluginState::Ready);
    let configured = Guest::new("tool", "[]")
        .says(r#"{"name":"tool","commands":[{"name":"go"}],"config":{"properties":{"grace":{"type":"string"}}}}"#);
    refused("misconfigured", &configured.build(), "plugins: {tool: {config: {grace: 30}}}", "/grace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_describe_that_misbehaves_is_a_plugin_refused() {
    for (what, guest, part) in [
        ("nonsense", tool().says("nonsense"), "not one JSON document"),
        ("no description", tool().says("[1]"), "no description"),
        ("another name", Guest::new("other", "[]"), "calls the plugin `other`"),
        ("endless", tool().describe("(loop $again (br $again)) unreachable"), "CPU budget"),
        ("trap", tool().describe("unreachable"), "`unreachable` instruction"),
        ("huge", tool().describe(&huge("300000")), "at most 262144"),
        ("far too huge", tool().describe(&huge("60000000")).pages(960), "than the 262144"),
        (
            "a start that loops",
            tool().items("(func $forever (loop $again (br $again))) (start $forever)"),
            "CPU budget",
        ),
        ("a start that traps", tool().items("(func $trap unreachable) (start $trap)"), "unreachable"),
        (
            "a start that eats memory",
            tool().items("(func $eat (loop $again (drop (memory.grow (i32.const 16))) (br $again))) (start $eat)"),
            "memory budget",
        ),
        ("more memory than granted from the start", tool().pages(2000), "memory budget"),
    ] {
        let mut house = House::new();
        house.config.limits = Limits { cpu: Duration::from_millis(300), ..Limits::default() };
        house.put("tool.wasm", &guest.build());
        house.put("neighbour.wasm", &Guest::new("neighbour", r#"[{"name":"neighbour"}]"#).build());
        house.open().await;
        let entry = house.plugin("tool");
        assert_eq!(entry.state, PluginState::Refused, "{what}: {entry:?}");
        assert!(entry.reason.contains(part), "{what}: {}", entry.reason);
        assert_eq!(house.call("neighbour", "{}").await.unwrap().output, "{}", "{what}");
        assert_eq!(house.call("go", "{}").await.unwrap_err().code, "not-found", "{what}");
    }
}

fn huge(length: &str) -> String {
    format!(
        "(i32.store (i32.const 100) (i32.const 65536)) (i32.store (i32.const 104) (i32.const {length})) (i32.const 100)"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_feature_that_is_off_is_refused() {
    let with = |module: &str| {
        wat::parse_str(format!(
            r#"(component (core module {module}) (instance $i) (export "claiflow:plugin/handler@1.0.0" (instance $i)))"#
        ))
        .unwrap()
    };
    for (feature, module) in [
        ("gc", "(type (struct (field i32)))"),
        ("function references", "(func (param (ref func)))"),
        ("memory64", "(memory i64 1)"),
        ("multi-memory", "(memory 1) (memory 1)"),
        ("relaxed SIMD", "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))"),
        ("exceptions", "(tag $t) (func (throw $t))"),
        ("threads", "(memory 1 1 shared)"),
        ("tail calls", "(func $f (return_call $f))"),
        (
            "wide arithmetic",
            "(func (param i64 i64 i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
        ),
        ("custom page sizes", "(memory 1 (pagesize 1))"),
        ("stack switching", "(type $f (func)) (type $c (cont $f)) (func (param (ref $c)))"),
    ] {
        refused(feature, &with(module), "", "it does not compile").await;
    }
    // The same shape without a feature gets past the compiler, so the refusals above are about the features.
    refused("the control", &with("(memory 1) (func)"), "", "does not fit the contract").await;
    let concurrent = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 0)) (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 0)))
        (core instance $c (instantiate $m))
        (func $f async (canon lift (core func $c "f") async (callback (core func $c "cb"))))
        (instance $i (export "describe" (func $f))) (export "claiflow:plugin/handler@1.0.0" (instance $i)))"#;
    refused("component async", &wat::parse_str(concurrent).unwrap(), "", "it does not compile").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_too_many_parts_is_refused() {
    let memories = (0..2).map(|i| format!("(core instance $m{i} (instantiate $m))")).collect::<String>();
    let many = format!(
        r#"(component (core module $m (memory 1)) {memories} (instance $i) (export "claiflow:plugin/handler@1.0.0" (instance $i)))"#
    );
    refused("memories", &wat::parse_str(&many).unwrap(), "", "linear memories").await;
    let instances = (0..10_000).map(|_| "(core instance (instantiate $m))").collect::<String>();
    let many = format!(
        r#"(component (core module $m) {instances} (instance $i) (export "claiflow:plugin/handler@1.0.0" (instance $i)))"#
    );
    let entry = House::verdict("tool.wasm", &wat::parse_str(&many).unwrap(), "").await;
    assert_eq!(entry.state, PluginState::Refused, "{entry:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let mut house = House::new();
    house.put("good.wasm", &Guest::new("good", r#"[{"name":"good"}]"#).build());
    rustix::fs::mknodat(
        rustix::fs::CWD,
        house.mount.join("fifo.wasm"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from(0o644),
        0,
    )
    .unwrap();
    symlink("/dev/zero", house.mount.join("zero.wasm")).unwrap();
    symlink("/nowhere", house.mount.join("dangling.wasm")).unwrap();
    std::fs::create_dir(house.mount.join("folder.wasm")).unwrap();
    std::fs::File::create(house.mount.join("vast.wasm")).unwrap().set_len(10 << 30).unwrap();
    std::fs::write(house.mount.join("na me.wasm"), tool().build()).unwrap();
    house.open().await;
    for (name, part) in [
        ("fifo", "not a regular file"),
        ("zero", "not a regular file"),
        ("dangling", "cannot be read"),
        ("folder", "not a regular file"),
        ("vast", "at most 67108864"),
        ("na me", "a plugin's name has letters"),
    ] {
        let entry = house.plugin(name);
        assert_eq!(entry.state, PluginState::Refused, "{entry:?}");
        assert!(entry.reason.contains(part), "{entry:?}");
    }
    assert_eq!(house.call("good", "{}").await.unwrap().output, "{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_new_claims_neither_serves_and_a_newcomer_yields_to_who_served() {
    // `a` sorts before `b`: the order of files decides nothing.
    let (a, b) = (r#"[{"name":"same"},{"name":"of-a"}]"#, r#"[{"name":"same"},{"name":"of-b"}]"#);
    let mut house = House::new();
    house.put("a.wasm", &Guest::new("a", a).build());
    house.put("b.wasm", &Guest::new("b", b).build());
    house.open().await;
    let failed = house.call("same", "{}").await.unwrap_err();
    assert_eq!(failed.code, "not-found");
    assert!(failed.message.contains("`a` and `b`"), "{failed}");
    assert_eq!((house.call("of-a", "{}").await.is_ok(), house.call("of-b", "{}").await.is_ok()), (true, true));
    assert!(house.plugin("a").reason.contains("neither serves it"), "{:?}", house.plugin("a"));

    std::fs::remove_file(house.mount.join("a.wasm")).unwrap();
    house.until("b alone", |inventory| inventory.commands.iter().any(|command| command.name == "same")).await;
    house.put("a.wasm", &Guest::new("a", a).build());
    house.until("a beside it", |inventory| inventory.commands.iter().any(|command| command.name == "of-a")).await;
    assert_eq!(house.runtime().server_of("same").unwrap().plugin, "b");
    assert!(house.plugin("a").reason.contains("`b` served it first"), "{:?}", house.plugin("a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_granted_and_a_grant_makes_effects_only_stricter() {
    let commands = r#"[{"name":"claimed","effect":"read"},{"name":"kubernetes.pods","effect":"never"},
                       {"name":"mine","effect":"read"},{"pattern":"mine.{what+}","effect":"read"}]"#;
    let bytes = Guest::new("tool", commands).build();
    let mut house = House::new();
    house.put("tool.wasm", &bytes);
    house.grant("plugins: {other: {commands: [\"claim*\"]}}");
    house.open().await;
    for (command, part) in [
        ("claimed", "the grants file gives it to `other`"),
        ("kubernetes.pods", "reserved for built-in plugins"),
        ("mine.{what+}", "a pattern needs a grant"),
    ] {
        let failed = house.call(command, "{}").await.unwrap_err();
        assert!(failed.code == "not-found" && failed.message.contains(part), "{command}: {failed}");
    }
    assert_eq!(house.runtime().server_of("mine").unwrap().floor, Effect::Read);

    house.grant(
        "plugins: {tool: {commands: [\"*\", \"kubernetes.*\"], effect: {\"mine*\": idempotent, \"mine.x\": never, \"kubernetes.*\": read}}}",
    );
    house.until("the grant", |inventory| inventory.commands.len() == 4).await;
    let effect = |command| {
        let server = house.runtime().server_of(command).unwrap();
        (server.effect, server.floor)
    };
    assert_eq!(effect("mine"), (Declared::Class(Effect::Read), Effect::Idempotent));
    assert_eq!(effect("mine.a.b"), (Declared::Class(Effect::Read), Effect::Idempotent));
    assert_eq!(effect("kubernetes.pods"), (Declared::Class(Effect::Never), Effect::Read), "a grant replaces nothing");
    assert_eq!(house.call("mine.a.b", "{}").await.unwrap().output, "{}");

    house.grant("plugins: {tool: {commands: [\"*\"]}}");
    house.until("the narrower grant", |inventory| inventory.commands.len() == 3).await;
    assert!(house.runtime().server_of("kubernetes.pods").is_none(), "a bare star does not reach reserved names");
}

#[tokio::test(flavor = "multi_thread")]
async fn compiled_code_is_kept_apart_from_the_mount_and_a_torn_entry_is_made_again() {
    let mut house = House::new();
    house.put("tool.wasm", &tool().build());
    // Were it believed, it would be refused as a file; it is not even looked at.
    house.put("tool.cwasm", b"\x7fELF native code");
    house.put("other.cwasm", b"\x7fELF native code");
    house.open().await;
    let inventory = house.runtime().inventory().borrow().clone();
    assert_eq!(inventory.plugins.iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(), ["tool"]);
    let cache = house.config.cache.clone().unwrap();
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    let entry = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&entry).unwrap();

    for torn in [&whole[..whole.len() / 2], &[&whole[..100], &[!whole[100]], &whole[101..]].concat()[..], b""] {
        house.runtime = None;
        std::fs::write(&entry, torn).unwrap();
        house.open().await;
        assert_eq!(house.call("go", "{}").await.unwrap().output, "{}");
        assert_eq!(std::fs::read(&entry).unwrap().len(), whole.len());
    }
    // An entry that is whole is used: no compiler is needed any more.
    house.runtime = None;
    house.config.worker = "/nonexistent".into();
    house.open().await;
    assert_eq!(house.call("go", "{}").await.unwrap().output, "{}");
    // A directory that others may write to is not.
    house.runtime = None;
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    house.open().await;
    assert!(house.plugin("tool").reason.contains("does not start"), "{:?}", house.plugin("tool"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compile_worker_limits_itself_before_it_reads() {
    let mut worker = Command::new(env!("CARGO_BIN_EXE_claiflow-agent"))
        .arg("compile-worker")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let proc = format!("/proc/{}", worker.id());
    let limit = |name: &str| {
        let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    eventually("the limits", async || limit("Max core file size") == ["0", "0"]).await;
    // That of the largest file; how large this one is, is not known yet.
    assert_eq!(limit("Max cpu time"), ["350", "350"]);
    assert_eq!(limit("Max address space"), [(2_u64 << 30).to_string(), (2_u64 << 30).to_string()]);
    eventually("the preference of the OOM killer", async || {
        std::fs::read_to_string(format!("{proc}/oom_score_adj")).unwrap().trim() == "1000"
    })
    .await;
    drop(worker.stdin.take());
    assert_eq!(worker.wait_with_output().unwrap().status.code(), Some(3), "no bytes are no component");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_or_lies_costs_one_plugin() {
    for (what, script, part) in [
        ("killed by a limit", "kill -KILL $$", "needed more than 30 s of CPU or 2048 MiB"),
        ("fails with a word", "echo out of memory >&2; exit 1", "out of memory"),
        ("answers nothing", "exit 0", "compiled code is refused"),
        ("answers nonsense", "cat >/dev/null; echo nonsense", "compiled code is refused"),
        ("refuses", "echo too strange >&2; exit 3", "it does not compile: too strange"),
    ] {
        let mut house = House::new();
        let worker = house.root.path().join("worker");
        std::fs::write(&worker, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&worker, std::fs::Permissions::from_mode(0o755)).unwrap();
        house.config.worker = worker;
        house.put("tool.wasm", &tool().build());
        house.open().await;
        let entry = house.plugin("tool");
        assert!(entry.state == PluginState::Refused && entry.reason.contains(part), "{what}: {entry:?}");
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
