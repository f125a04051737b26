//! A real API server, which `CLAIFLOW_TEST_KUBECONFIG` names, and namespaces of one's own on it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::{path::PathBuf, time::Duration};

use claiflow_agent::{
    grants::kubernetes::{Name, Namespace, Object},
    kubernetes::{Actor, Cluster, Failure, Place, Request, Served, Writing},
};
use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::ApiResource,
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Long enough for a busy machine; nothing waits for it when things go well.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// No answer of these tests is larger.
pub const MOST: usize = 16 << 20;

/// The kubeconfig of an administrator: said loudly when there is none.
pub fn kubeconfig() -> Option<PathBuf> {
    let file = std::env::var_os("CLAIFLOW_TEST_KUBECONFIG").map(PathBuf::from);
    if file.is_none() {
        assert_ne!(
            std::env::var("CLAIFLOW_STRICT").as_deref(),
            Ok("1"),
            "CLAIFLOW_TEST_KUBECONFIG names no API server"
        );
        eprintln!("SKIPPED: CLAIFLOW_TEST_KUBECONFIG names no API server");
    }
    file
}

pub fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// One namespace, and an administrator's hands in it.
pub struct Plane {
    pub kubeconfig: PathBuf,
    pub client: Client,
    pub namespace: String,
}

impl Plane {
    /// A new namespace whose name begins so.
    pub async fn open(name: &str) -> Option<Self> {
        let kubeconfig = kubeconfig()?;
        let file = Kubeconfig::read_from(&kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let namespace = format!("{name}-{}", uuid::Uuid::new_v4().simple().to_string().get(..8).unwrap());
        let plane = Self { kubeconfig, client, namespace: namespace.clone() };
        plane.make("v1", "Namespace", "namespaces", json!({"metadata": {"name": namespace}})).await;
        Some(plane)
    }

    /// The agent's way to this API server, its accounts in the own namespace.
    pub async fn cluster(&self) -> std::sync::Arc<Cluster> {
        let place = Place { kubeconfig: Some(self.kubeconfig.clone()), namespace: Some(self.namespace.clone()) };
        Cluster::open(place).await.unwrap().expect("a kubeconfig is a way")
    }

    /// Everything of one kind in the own namespace; cluster-scoped where the kind is.
    pub fn api(&self, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        };
        let cluster_scoped =
            ["namespaces", "customresourcedefinitions", "clusterroles", "subjectaccessreviews"].contains(&plural);
        if cluster_scoped {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
        }
    }

    /// Makes an object, as its operator does.
    pub async fn make(&self, api_version: &str, kind: &str, plural: &str, mut object: Value) {
        object["apiVersion"] = api_version.into();
        object["kind"] = kind.into();
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        self.api(api_version, kind, plural).create(&PostParams::default(), &object).await.unwrap();
    }

    pub async fn config_map(&self, name: &str, data: Value) {
        self.make("v1", "ConfigMap", "configmaps", json!({"metadata": {"name": name}, "data": data})).await;
    }

    pub async fn change(&self, name: &str, data: Value) {
        let patch = Patch::Merge(json!({"data": data}));
        self.api("v1", "ConfigMap", "configmaps").patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// A pod that runs, as kwok plays it, with these containers.
    pub async fn pod(&self, name: &str, containers: &[&str], metadata: Value) {
        let containers: Vec<_> = containers.iter().map(|name| json!({"name": name, "image": "none"})).collect();
        let mut pod = json!({"metadata": metadata, "spec": {"containers": containers}});
        pod["metadata"]["name"] = name.into();
        // The account of each namespace is made a moment after it.
        let pods = self.api("v1", "Pod", "pods");
        let object: DynamicObject = {
            pod["apiVersion"] = "v1".into();
            pod["kind"] = "Pod".into();
            serde_json::from_value(pod).unwrap()
        };
        until("the pod is taken", async || pods.create(&PostParams::default(), &object).await.is_ok()).await;
        until("the pod runs", async || {
            let pod = pods.get(name).await.unwrap();
            pod.data.pointer("/status/phase").and_then(Value::as_str) == Some("Running")
        })
        .await;
    }

    /// An account that may do this with what is in the own namespace.
    pub async fn account(&self, name: &str, rules: Value) {
        self.make("v1", "ServiceAccount", "serviceaccounts", json!({"metadata": {"name": name}})).await;
        let rbac = "rbac.authorization.k8s.io/v1";
        self.make(rbac, "Role", "roles", json!({"metadata": {"name": name}, "rules": rules})).await;
        let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": self.namespace});
        let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
        let binding = json!({"metadata": {"name": name}, "subjects": [subject], "roleRef": role});
        self.make(rbac, "RoleBinding", "rolebindings", binding).await;
        // The API server believes its own roles a moment after it took them.
        let rule = &rules[0];
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
            "spec": {
                "user": format!("system:serviceaccount:{}:{name}", self.namespace),
                "resourceAttributes": {
                    "namespace": self.namespace,
                    "group": rule["apiGroups"][0],
                    "resource": rule["resources"][0],
                    "verb": rule["verbs"][0],
                },
            },
        });
        let review: DynamicObject = serde_json::from_value(review).unwrap();
        let reviews = self.api("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews");
        until("the role holds", async || {
            let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
            answer.data.pointer("/status/allowed") == Some(&json!(true))
        })
        .await;
    }

    /// What the API server noted of requests in the own namespace, as `verb resource user`; none where it keeps no audit log.
    pub fn audited(&self) -> Option<Vec<Value>> {
        let log = self.kubeconfig.parent()?.join("audit.log");
        let text = std::fs::read_to_string(log).ok()?;
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let own = events.filter(|event| event["objectRef"]["namespace"] == *self.namespace);
        Some(own.filter(|event| event["stage"] == "ResponseComplete").collect())
    }

    pub fn at(&self, name: &str) -> Object {
        Object { namespace: Some(Namespace::new(&self.namespace).unwrap()), name: Some(Name::new(name).unwrap()) }
    }

    /// Removes what was made.
    pub async fn close(self) {
        let namespaces = self.api("v1", "Namespace", "namespaces");
        namespaces.delete(&self.namespace, &Default::default()).await.unwrap();
    }
}

/// The agent's own hands: what it asks with all that it may do.
pub struct Hands {
    pub cluster: std::sync::Arc<Cluster>,
    pub actor: Actor,
}

impl Hands {
    pub async fn kind(&self, group: &str, resource: &str) -> std::sync::Arc<Served> {
        let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        self.cluster.served(group, "", plural, subresource, deadline()).await.unwrap()
    }

    pub async fn ask(&self, request: Result<Request, Failure>) -> Result<Value, Failure> {
        let answer = self.cluster.ask(&self.actor, &request?, MOST, deadline()).await;
        answer.map(|(value, _)| value).map_err(|error| error.failure(|status| status))
    }
}

pub fn writing() -> Writing {
    Writing { manager: "claiflow:test".into(), dry_run: false }
}

/// Looks again until it is so, or says what was awaited.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
