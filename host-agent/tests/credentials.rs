//! What every store of credentials promises, on real disks and a real API server; and the change of the key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

mod kubernetes_parts;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use claiflow_agent::{
    credentials::{Data, KeyFile, Mode, Put, Storage, Stores, Volume},
    kubernetes::Effect,
};
use kubernetes_parts::{Plane, deadline};
use serde_json::{Value, json};

const CLUSTER: &str = "0123456789abcdef0123456789abcdef";
/// What the first version wrote for that cluster under the key `grafana`: the token `former token`.
const FORMER: &str = include_str!("../src/credentials/former.hex");

fn volume(root: &Path) -> Volume {
    Volume::new(root.join("volume"), KeyFile::new(root.join("key")), Some(CLUSTER))
}

fn put(mode: Mode, effect_key: &str, data: &Value) -> Put {
    Put::new("grafana", effect_key, mode, data.to_string().as_bytes()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let text = text.trim();
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

/// One promise after the other, told by what comes back.
async fn keeps_its_promises(stores: &Stores, storage: Storage) {
    enum Act {
        Put(Mode, &'static str, &'static str),
        Remove,
        /// What is there, and which call wrote it.
        Find(Option<&'static str>, &'static str),
    }
    use Act::{Find, Put, Remove};
    let steps: [(&str, Act, &str); 14] = [
        ("nothing is there", Find(None, ""), "denied"),
        ("what is not there is not changed", Put(Mode::Update, "1", "new"), "not-found"),
        ("nor removed", Remove, "not-found"),
        ("a new one is added", Put(Mode::Add, "1", "first"), "ok"),
        ("and found", Find(Some("first"), "1"), "ok"),
        ("it is added once", Put(Mode::Add, "2", "other"), "exists"),
        ("and is as it was", Find(Some("first"), "1"), "ok"),
        ("it is changed", Put(Mode::Update, "3", "second"), "ok"),
        ("and again", Put(Mode::Update, "4", "third"), "ok"),
        ("the last change counts", Find(Some("third"), "4"), "ok"),
        ("it is removed", Remove, "ok"),
        ("once", Remove, "not-found"),
        ("it is gone", Find(None, ""), "denied"),
        ("and may come back", Put(Mode::Add, "5", "fourth"), "ok"),
    ];
    for (what, act, code) in steps {
        let outcome = match act {
            Put(mode, effect_key, data) => {
                stores.put("grafana-1", storage, put(mode, effect_key, &json!(data)), deadline()).await
            }
            Remove => stores.remove("grafana-1", storage, deadline()).await,
            Find(data, effect_key) => stores.find("grafana-1", deadline()).await.map(|found| {
                assert!(found.kind == "grafana" && found.effect_key == effect_key, "{what}: {found:?}");
                assert!(found.data == Data::Json(json!(data)), "{what}");
            }),
        };
        let said = outcome.as_ref().map_or_else(|failure| failure.code, |()| "ok");
        assert_eq!(said, code, "{storage}: {what}: {outcome:?}");
    }
    let listed = stores.list(deadline()).await;
    assert!(listed.unavailable.is_empty(), "{listed:?}");
    let entry = json!({"key": "grafana-1", "storage": storage.as_str(), "type": "grafana", "effect-key": "5"});
    assert_eq!(serde_json::to_value(&listed.entries).unwrap(), json!([entry]));
    for key in ["../x", "", "a/b", ".lock"] {
        let failure = stores.put(key, storage, put(Mode::Add, "", &json!("x")), deadline()).await.unwrap_err();
        assert!(failure.code == "invalid" && failure.effect == Effect::None, "{key}: {failure}");
        assert_eq!(stores.find(key, deadline()).await.unwrap_err().code, "invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_files_keep_what_a_store_promises() {
    let root = tempfile::tempdir().unwrap();
    let stores = Stores::new(None, Some(volume(root.path())), None);
    keeps_its_promises(&stores, Storage::Volume).await;
    for file in ["volume/grafana-1", "key"] {
        let found = fs::metadata(root.path().join(file)).unwrap();
        assert_eq!(found.permissions().mode() & 0o077, 0, "{file} is its owner's alone");
    }
    let sealed = fs::read(root.path().join("volume/grafana-1")).unwrap();
    assert!(!sealed.windows(6).any(|part| part == b"fourth" || part == b"grafan"), "it is encrypted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_keeps_what_a_store_promises_and_what_others_put_there() {
    let Some(plane) = Plane::open("credentials").await else { return };
    let stores = Stores::new(None, None, Some(plane.cluster().await));
    keeps_its_promises(&stores, Storage::Secret).await;

    // Others write into the same Secret meanwhile, as the first version and as an operator do.
    let secrets = plane.api("v1", "Secret", "secrets");
    let former = json!({"stringData": {
        "old": r#"{"key":"old","type":"ncp","data":{"username":"u","password":"p"}}"#, "plain": "Bearer abc",
    }});
    let patch = kube::api::Patch::Merge(former);
    secrets.patch("claiflow-credential", &kube::api::PatchParams::default(), &patch).await.unwrap();
    let adds =
        (0..8).map(|at| {
            let stores = &stores;
            async move {
                stores.put(&format!("many-{at}"), Storage::Secret, put(Mode::Add, "", &json!("x")), deadline()).await
            }
        });
    for added in futures_util::future::join_all(adds).await {
        added.unwrap();
    }
    let keys: Vec<_> = stores.keys(deadline()).await.into_iter().collect();
    let many: Vec<_> = (0..8).map(|at| format!("many-{at}")).collect();
    assert_eq!(keys, [vec!["grafana-1".to_owned()], many, vec!["old".to_owned(), "plain".to_owned()]].concat());
    let old = stores.find("old", deadline()).await.unwrap();
    assert!(old.kind == "ncp" && old.data == Data::Json(json!({"username": "u", "password": "p"})));
    assert!(stores.find("plain", deadline()).await.unwrap().data == Data::Plain(b"Bearer abc".to_vec()));
    plane.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nearest_store_counts_and_one_that_is_broken_says_so() {
    let root = tempfile::tempdir().unwrap();
    let mounted = root.path().join("mounted");
    fs::create_dir(&mounted).unwrap();
    fs::write(mounted.join("both"), "Bearer operator\n").unwrap();
    let stores = Stores::new(Some(mounted), Some(volume(root.path())), None);
    for key in ["both", "own"] {
        stores.put(key, Storage::Volume, put(Mode::Add, "", &json!("task")), deadline()).await.unwrap();
    }
    let bytes = async |key: &str| stores.find(key, deadline()).await.map(|found| found.bytes());
    assert_eq!(bytes("both").await.unwrap(), b"Bearer operator\n");
    assert_eq!(bytes("own").await.unwrap(), b"task");
    let failure = stores.put("x", Storage::Secret, put(Mode::Add, "", &json!("x")), deadline()).await.unwrap_err();
    assert!(failure.code == "unavailable" && failure.message.contains("has no cluster"), "{failure}");

    let file = root.path().join("volume/own");
    let sealed = fs::read(&file).unwrap();
    let foreign = {
        let other = tempfile::tempdir().unwrap();
        let stores = Stores::new(None, Some(volume(other.path())), None);
        stores.put("own", Storage::Volume, put(Mode::Add, "", &json!("x")), deadline()).await.unwrap();
        fs::read(other.path().join("volume/own")).unwrap()
    };
    for (bytes, part) in [
        (sealed[..sealed.len() - 1].to_vec(), "is torn"),
        (Vec::new(), "torn"),
        (foreign, "does not hold"),
        (b"somebody else's file, which is long enough".to_vec(), "no agent wrote it"),
        (fs::read(root.path().join("volume/both")).unwrap(), "moved here"),
    ] {
        fs::write(&file, &bytes).unwrap();
        let failure = stores.find("own", deadline()).await.unwrap_err();
        assert!(failure.code == "unavailable" && failure.message.contains(part), "{part}: {failure}");
        let listed = stores.list(deadline()).await;
        assert!(listed.entries.iter().any(|entry| entry.key == "own" && entry.broken.is_some()), "{listed:?}");
        let add = stores.put("own", Storage::Volume, put(Mode::Add, "", &json!("x")), deadline()).await;
        assert_eq!(add.unwrap_err().code, "exists", "its key is taken");
    }
    stores.put("own", Storage::Volume, put(Mode::Update, "", &json!("again")), deadline()).await.unwrap();
    assert_eq!(bytes("own").await.unwrap(), b"again");

    fs::rename(root.path().join("key"), root.path().join("elsewhere")).unwrap();
    let failure = stores.put("x", Storage::Volume, put(Mode::Add, "", &json!("x")), deadline()).await.unwrap_err();
    assert!(failure.message.contains("bring it back"), "a new key would hide that the old one is missing: {failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_key_that_is_interrupted_is_finished_by_the_next() {
    let root = tempfile::tempdir().unwrap();
    let place = volume(root.path());
    let stores = Stores::new(None, Some(place.clone()), None);
    fs::create_dir(place.directory()).unwrap();
    fs::write(place.directory().join("grafana"), unhex(FORMER)).unwrap();
    for at in 0..9 {
        let one = put(Mode::Add, "", &json!(format!("token-{at}")));
        stores.put(&format!("key-{at}"), Storage::Volume, one, deadline()).await.unwrap();
    }
    let all_readable = async || {
        let listed = stores.list(deadline()).await;
        assert!(listed.entries.len() == 10 && listed.entries.iter().all(|entry| entry.broken.is_none()), "{listed:?}");
        assert_eq!(stores.find("grafana", deadline()).await.unwrap().bytes(), b"former token");
        assert_eq!(stores.find("key-3", deadline()).await.unwrap().bytes(), b"token-3");
    };
    let keys = || fs::read_to_string(root.path().join("key")).unwrap();
    let first = keys();

    // Died after any number of files, and in the middle of writing one.
    for steps in 0..=10 {
        let mut rekey = place.rekey(true).unwrap();
        for _ in 0..steps {
            assert!(rekey.step().unwrap());
        }
        drop(rekey);
        fs::write(place.directory().join(".new-0123456789abcdef"), "half a").unwrap();
        assert!(place.is_rekeying().unwrap() && keys().lines().count() == 2, "one new key, however often it begins");
        all_readable().await;
    }
    let done = place.rekey(true).unwrap().finish(true).unwrap();
    assert!(done.broken.is_empty() && done.moved + done.kept == 10 && done.forgotten == 1, "{done:?}");
    all_readable().await;
    assert!(keys().lines().count() == 1 && keys() != first && !place.is_rekeying().unwrap());
    assert!(!place.directory().join(".new-0123456789abcdef").exists());

    // One that cannot be read keeps the older key.
    fs::write(place.directory().join("key-0"), "garbage").unwrap();
    let done = place.rekey(true).unwrap().finish(true).unwrap();
    assert!(done.broken.len() == 1 && done.broken[0].key == "key-0" && done.forgotten == 0, "{done:?}");
    assert_eq!(keys().lines().count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_changes_the_key_while_credentials_are_put() {
    let root = tempfile::tempdir().unwrap();
    let place = volume(root.path());
    let stores = Stores::new(None, Some(place.clone()), None);
    let add = async |at: usize| {
        let one = put(Mode::Add, "", &json!("token"));
        stores.put(&format!("key-{at}"), Storage::Volume, one, deadline()).await.unwrap();
    };
    for at in 0..40 {
        add(at).await;
    }
    let program = || {
        let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_claiflow-agent"));
        program.args(["credential", "rekey", "--credential-volume"]).arg(place.directory());
        program.arg("--credential-key").arg(place.key_file().path()).arg("--state").arg(root.path());
        program.kill_on_drop(true).stdout(std::process::Stdio::piped());
        program.spawn().unwrap()
    };
    // Killed wherever it is.
    let mut killed = program();
    for at in 40..60 {
        add(at).await;
    }
    killed.start_kill().unwrap();
    killed.wait().await.unwrap();
    let output = program().wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("60 credentials are under the newest key"), "{said}");
    let listed = stores.list(deadline()).await;
    assert!(listed.entries.len() == 60 && listed.entries.iter().all(|entry| entry.broken.is_none()), "{listed:?}");
    assert!(!place.is_rekeying().unwrap());
}
