//! Plugin files from a real registry, which `CLAIFLOW_TEST_REGISTRY` (host:port, without TLS) names.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use claiflow_agent::fetch::{Missed, Registries, Shelf, artifacts};
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol, Config, ImageLayer},
    secrets::RegistryAuth,
};
use tokio::sync::watch;

const LIMIT: Duration = Duration::from_secs(30);

/// The registry that the environment names: said loudly when there is none.
fn registry() -> Option<String> {
    let named = std::env::var("CLAIFLOW_TEST_REGISTRY").ok();
    if named.is_none() {
        assert_ne!(std::env::var("CLAIFLOW_STRICT").as_deref(), Ok("1"), "CLAIFLOW_TEST_REGISTRY names no registry");
        eprintln!("SKIPPED: CLAIFLOW_TEST_REGISTRY names no registry");
    }
    named
}

/// Puts an artifact there; its reference by digest.
async fn push(registry: &str, repository: &str, media_type: &str, layers: &[&[u8]]) -> String {
    let protocol = ClientProtocol::HttpsExcept(vec![registry.to_owned()]);
    let client = Client::new(ClientConfig { protocol, ..ClientConfig::default() });
    let reference: Reference = format!("{registry}/{repository}:1").parse().unwrap();
    let layers: Vec<_> =
        layers.iter().map(|bytes| ImageLayer::new(bytes.to_vec(), media_type.to_owned(), None)).collect();
    let config = Config::new(b"{}".to_vec(), "application/vnd.wasm.config.v0+json".to_owned(), None);
    client.push(&reference, &layers, config, &RegistryAuth::Anonymous, None).await.unwrap();
    let digest = client.fetch_manifest_digest(&reference, &RegistryAuth::Anonymous).await.unwrap();
    format!("{registry}/{repository}@{digest}")
}

struct House {
    wanted: watch::Sender<Arc<BTreeMap<String, String>>>,
    missed: watch::Receiver<Arc<Missed>>,
    directory: PathBuf,
    _root: tempfile::TempDir,
}

impl House {
    /// An agent's shelf, kept equal to what is wanted.
    fn open(registry: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("artifacts");
        let (missed_sender, missed) = watch::channel(Arc::default());
        let (wanted, wants) = watch::channel(Arc::default());
        let shelf = Shelf::open(directory.clone(), missed_sender).unwrap();
        let registries = Registries::open(&[registry.to_owned()], None).unwrap();
        tokio::spawn(artifacts(shelf, registries, wants));
        Self { wanted, missed, directory, _root: root }
    }

    fn want(&self, wanted: &[(&str, &str)]) {
        let wanted = wanted.iter().map(|(name, from)| ((*name).to_owned(), (*from).to_owned())).collect();
        self.wanted.send_replace(Arc::new(wanted));
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

    async fn reason(&self, name: &str) -> String {
        self.until("a reason is given", |house| house.missed.borrow().contains_key(name)).await;
        self.missed.borrow()[name].clone()
    }
}

#[tokio::test]
async fn an_artifact_is_there_while_it_is_wanted() {
    let Some(registry) = registry() else { return };
    let house = House::open(&registry);
    let first = push(&registry, "agents/one", "application/wasm", &[b"first"]).await;
    house.want(&[("one", &first)]);
    house.until("the artifact comes", |house| house.file("one").as_deref() == Some(b"first")).await;

    // Another version that cannot be had changes nothing but what is said.
    let unknown = format!("{registry}/agents/one@sha256:{}", "0".repeat(64));
    house.want(&[("one", &unknown)]);
    let reason = house.reason("one").await;
    assert!(reason.contains(&unknown) && reason.contains("registry"), "{reason}");
    assert_eq!(house.file("one").as_deref(), Some(b"first".as_slice()));

    let second = push(&registry, "agents/one", "application/wasm", &[b"second"]).await;
    house.want(&[("one", &second)]);
    house.until("the other version comes", |house| house.file("one").as_deref() == Some(b"second")).await;
    house.until("nothing is missed", |house| house.missed.borrow().is_empty()).await;

    house.want(&[]);
    house.until("what is wanted no longer goes", |house| house.file("one").is_none()).await;
}

#[tokio::test]
async fn what_is_no_plugin_says_why() {
    let Some(registry) = registry() else { return };
    let house = House::open(&registry);
    let image = push(&registry, "agents/image", "application/vnd.oci.image.layer.v1.tar", &[b"tar"]).await;
    let two = push(&registry, "agents/two", "application/wasm", &[b"a", b"b"]).await;
    let tag = format!("{registry}/agents/two:1");
    house.want(&[
        ("image", &image),
        ("two", &two),
        ("tag", &tag),
        ("away", &format!("127.0.0.1:1/a@sha256:{}", "0".repeat(64))),
    ]);
    for (name, said) in [("image", "0 layers"), ("two", "2 layers"), ("tag", "no digest"), ("away", "127.0.0.1:1")] {
        let reason = house.reason(name).await;
        assert!(reason.contains(said), "{name}: {reason}");
        assert!(house.file(name).is_none());
    }
}

#[tokio::test]
async fn what_was_fetched_serves_after_a_restart_without_the_registry() {
    let Some(registry) = registry() else { return };
    let house = House::open(&registry);
    let from = push(&registry, "agents/kept", "application/wasm", &[b"kept"]).await;
    house.want(&[("kept", &from)]);
    house.until("the artifact comes", |house| house.file("kept").is_some()).await;

    let (missed_sender, missed) = watch::channel(Arc::default());
    let shelf = Shelf::open(house.directory.clone(), missed_sender).unwrap();
    // This agent speaks TLS with that registry, which answers none: it has to do with what is there.
    let registries = Registries::open(&[], None).unwrap();
    let unknown = format!("{registry}/agents/other@sha256:{}", "0".repeat(64));
    let wanted = BTreeMap::from([("kept".to_owned(), from), ("other".to_owned(), unknown)]);
    let (_wanted, wants) = watch::channel(Arc::new(wanted));
    tokio::spawn(artifacts(shelf, registries, wants));
    let mut missed = missed;
    let seen = tokio::time::timeout(LIMIT, missed.wait_for(|missed| missed.contains_key("other"))).await;
    assert!(!seen.unwrap().unwrap().contains_key("kept"));
    assert_eq!(house.file("kept").as_deref(), Some(b"kept".as_slice()));
}
