//! Plugin files from ConfigMaps of a real API server, which `CLAIFLOW_TEST_KUBECONFIG` names.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{path::PathBuf, sync::Arc, time::Duration};

use claiflow_agent::fetch::{Missed, Shelf, config_maps};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Namespace},
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(30);

/// The API server that the environment names: said loudly when there is none.
async fn api_server() -> Option<Client> {
    let Ok(file) = std::env::var("CLAIFLOW_TEST_KUBECONFIG") else {
        assert_ne!(
            std::env::var("CLAIFLOW_STRICT").as_deref(),
            Ok("1"),
            "CLAIFLOW_TEST_KUBECONFIG names no API server"
        );
        eprintln!("SKIPPED: CLAIFLOW_TEST_KUBECONFIG names no API server");
        return None;
    };
    let kubeconfig = Kubeconfig::read_from(file).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Some(Client::try_from(config).unwrap())
}

struct House {
    maps: Api<ConfigMap>,
    missed: watch::Receiver<Arc<Missed>>,
    directory: PathBuf,
    _root: tempfile::TempDir,
}

impl House {
    /// A namespace of its own, and an agent's shelf that follows it.
    async fn open(client: Client, name: &str) -> Self {
        let namespace = format!("{name}-{}", std::process::id());
        let metadata = ObjectMeta { name: Some(namespace.clone()), ..ObjectMeta::default() };
        let made = Namespace { metadata, ..Namespace::default() };
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &made).await.unwrap();
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("configmaps");
        let (missed_sender, missed) = watch::channel(Arc::default());
        let shelf = Shelf::open(directory.clone(), missed_sender).unwrap();
        tokio::spawn(config_maps(shelf, client.clone(), namespace.clone()));
        Self { maps: Api::namespaced(client, &namespace), missed, directory, _root: root }
    }

    /// Server-side apply, as an operator does.
    async fn apply(&self, name: &str, plugin: &str, annotations: &[(&str, &str)], key: &str, bytes: &[u8]) {
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([("claiflow.io/plugin".to_owned(), plugin.to_owned())].into()),
            annotations: Some(
                annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ),
            ..ObjectMeta::default()
        };
        let data = Some([(key.to_owned(), ByteString(bytes.to_vec()))].into());
        let map = ConfigMap { metadata, binary_data: data, ..ConfigMap::default() };
        self.maps.patch(name, &PatchParams::apply("operator").force(), &Patch::Apply(&map)).await.unwrap();
    }

    /// The pieces that `build-plugin --configmap` writes for a component.
    async fn apply_pieces(&self, plugin: &str, component: &[u8], wanted: &[usize]) {
        let packed = compress_to_vec(component, CompressionLevel::Fastest);
        let digest = sha256(component);
        let half = packed.len() / 2;
        for part in wanted {
            let piece = if *part == 0 { &packed[..half] } else { &packed[half..] };
            let part = part.to_string();
            let annotations =
                [("claiflow.io/sha256", digest.as_str()), ("claiflow.io/part", &part), ("claiflow.io/parts", "2")];
            let (name, key) = (format!("{plugin}-{part}"), format!("{plugin}.wasm.zst.{part}"));
            self.apply(&name, plugin, &annotations, &key, piece).await;
        }
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.directory.join(format!("{name}.wasm"))).ok()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let held = async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LIMIT, held).await.unwrap_or_else(|_| panic!("{what}: {:?}", self.missed.borrow()));
    }

    fn reason(&self, name: &str) -> String {
        self.missed.borrow().get(name).cloned().unwrap_or_default()
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_labelled_config_map_comes_changes_breaks_and_goes() {
    let Some(client) = api_server().await else { return };
    let house = House::open(client, "one").await;
    house.apply("tool", "tool", &[], "tool.wasm", b"first").await;
    house.until("the file comes", |house| house.file("tool").as_deref() == Some(b"first")).await;
    house.apply("tool", "tool", &[], "tool.wasm", b"second").await;
    house.until("the change comes", |house| house.file("tool").as_deref() == Some(b"second")).await;

    // What does not fit its own digest, or has no file, changes nothing but what is said.
    house.apply("tool", "tool", &[("claiflow.io/sha256", &sha256(b"another"))], "tool.wasm", b"broken").await;
    house.until("the broken one is told", |house| house.reason("tool").contains("claiflow.io/sha256")).await;
    house.apply("tool", "tool", &[], "other.wasm", b"third").await;
    house.until("the missing file is told", |house| house.reason("tool").contains("`tool.wasm`")).await;
    assert_eq!(house.file("tool").as_deref(), Some(b"second".as_slice()));

    house.apply("tool", "tool", &[("claiflow.io/sha256", &sha256(b"third"))], "tool.wasm", b"third").await;
    house.until("the repaired one comes", |house| house.file("tool").as_deref() == Some(b"third")).await;
    house.until("nothing is missed", |house| house.missed.borrow().is_empty()).await;
    house.maps.delete("tool", &DeleteParams::default()).await.unwrap();
    house.until("it goes with its ConfigMap", |house| house.file("tool").is_none()).await;
}

#[tokio::test]
async fn a_component_in_pieces_changes_when_all_are_there() {
    let Some(client) = api_server().await else { return };
    let house = House::open(client, "pieces").await;
    let (first, second) = (vec![1_u8; 3_000_000], vec![2_u8; 2_000_000]);
    house.apply_pieces("large", &first, &[1]).await;
    house.until("half of it is told", |house| house.reason("large").contains("1 of 2")).await;
    assert!(house.file("large").is_none());
    house.apply_pieces("large", &first, &[0]).await;
    house.until("it comes whole", |house| house.file("large").as_ref() == Some(&first)).await;

    house.apply_pieces("large", &second, &[0]).await;
    house.until("half of another is told", |house| house.reason("large").contains("1 of 2")).await;
    assert!(house.file("large").as_ref() == Some(&first));
    house.apply_pieces("large", &second, &[1]).await;
    house.until("the other comes whole", |house| house.file("large").as_ref() == Some(&second)).await;
}
