//! An API server for tests: objects in memory, with the semantics that plugins meet. Each thread has its own.

pub(crate) mod answers;
mod failure;
mod kind;
mod patch;
mod programs;
mod select;
mod store;
mod writes;

use std::{cell::RefCell, collections::BTreeMap, marker::PhantomData, mem::ManuallyDrop, rc::Rc, time::Duration};

use serde_json::Value;

use super::outside;
use crate::{Error, kubernetes::Object};
use failure::Planned;
use kind::Kind;
use store::Store;

/// What a program in a container did.
#[derive(Debug, Clone, Default)]
pub struct Executed {
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it wrote to its error output.
    pub stderr: Vec<u8>,
    /// 0 where it went well.
    pub exit: i64,
}

type Program = Rc<dyn Fn(&[String], &[u8]) -> Executed>;
type Later = (Duration, Box<dyn FnOnce(&Cluster)>);

/// All that is played.
struct State {
    kinds: Vec<Kind>,
    store: Store,
    calls: Vec<String>,
    planned: Vec<Planned>,
    later: Vec<Later>,
    /// By pod, as `shop/web-1`.
    logs: BTreeMap<String, Vec<u8>>,
    program: Option<Program>,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// The cluster of this thread's commands, until it is dropped. It grants everything, and has the kinds that are in every
/// cluster; [`Cluster::kind`] adds others. Server-side apply and strategic patches are laid over what is there, with
/// lists merged by `name`; no controller does anything.
///
/// ```
/// use claiflow_sdk::{kubernetes::{Api, Patch, Resource}, testing::Cluster};
/// use serde_json::{Value, json};
///
/// let cluster = Cluster::new();
/// cluster.put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "web"}}));
/// let maps = Api::<Value>::in_namespace(Resource::new("", "v1", "configmaps"), "shop");
/// maps.patch("web", &Patch::Merge(json!({"data": {"a": "1"}})), &Default::default()).unwrap();
/// assert_eq!(cluster.object("configmaps", "shop", "web").unwrap()["data"]["a"], "1");
/// assert_eq!(cluster.calls(), ["patch configmaps shop/web"]);
/// ```
#[derive(Debug)]
pub struct Cluster {
    /// It is of one thread.
    thread: PhantomData<*const ()>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster {
    /// A cluster without objects.
    pub fn new() -> Self {
        STATE.set(Some(State {
            kinds: kind::everywhere(),
            store: Store::default(),
            calls: Vec::new(),
            planned: Vec::new(),
            later: Vec::new(),
            logs: BTreeMap::new(),
            program: None,
        }));
        Self { thread: PhantomData }
    }

    /// Adds a kind, such as one of a custom resource: `("stable.example.com/v1", "CronTab", "crontabs", true)`.
    pub fn kind(&self, api_version: &str, kind: &str, plural: &str, namespaced: bool) {
        let kind = Kind::new(api_version, kind, plural, namespaced);
        with(|state| state.kinds.push(kind));
    }

    /// Puts an object there, or in place of the one of its name, as somebody else would. A kind that is not known, or an
    /// object without a name, is a fault of the test: nothing is put, and [`Cluster::object`] finds nothing.
    pub fn put(&self, object: Value) {
        with(|state| {
            if let Some((kind, key)) = kind::of_object(&state.kinds, &object) {
                state.store.put(&kind, &key, object);
            }
        });
    }

    /// Changes an object, as somebody else would, such as a controller its `status`.
    pub fn change(&self, plural: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        if let Some(mut object) = self.object(plural, namespace, name) {
            change(&mut object);
            self.put(object);
        }
    }

    /// Takes an object away, as somebody else would.
    pub fn take(&self, plural: &str, namespace: &str, name: &str) {
        with(|state| state.store.take(&store::Key::of(plural, namespace, name)));
    }

    /// An object as it is now. An empty namespace is none.
    pub fn object(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        with(|state| state.store.get(&store::Key::of(plural, namespace, name)).cloned()).flatten()
    }

    /// The calls so far: verb and target, such as `get pods shop/web-1`, `list deployments.apps/v1 in shop`.
    pub fn calls(&self) -> Vec<String> {
        with(|state| state.calls.clone()).unwrap_or_default()
    }

    /// The next call that begins so, such as `patch deployments`, fails and changes nothing.
    pub fn fail(&self, call: &str, error: Error) {
        self.plan(Planned { call: call.to_owned(), error, once: true, after: false });
    }

    /// Every call that begins so fails and changes nothing.
    pub fn refuse(&self, call: &str, error: Error) {
        self.plan(Planned { call: call.to_owned(), error, once: false, after: false });
    }

    /// The next call that begins so takes effect, and its answer is lost.
    pub fn lose(&self, call: &str, error: Error) {
        self.plan(Planned { call: call.to_owned(), error, once: true, after: true });
    }

    /// What happens in so long from now, while a command waits. A test does not wait for it: its clocks go on at once.
    pub fn after(&self, time: Duration, happen: impl FnOnce(&Cluster) + 'static) {
        let when = outside::slept() + time;
        with(|state| {
            state.later.push((when, Box::new(happen)));
            state.later.sort_by_key(|(when, _)| *when);
        });
    }

    /// What the containers of a pod wrote.
    pub fn log(&self, namespace: &str, pod: &str, text: impl Into<Vec<u8>>) {
        with(|state| state.logs.insert(format!("{namespace}/{pod}"), text.into()));
    }

    /// What the programs in containers do, given their words and their input.
    pub fn program(&self, program: impl Fn(&[String], &[u8]) -> Executed + 'static) {
        with(|state| state.program = Some(Rc::new(program)));
    }

    fn plan(&self, planned: Planned) {
        with(|state| state.planned.push(planned));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        STATE.set(None);
    }
}

/// None without a cluster.
fn with<T>(ask: impl FnOnce(&mut State) -> T) -> Option<T> {
    STATE.with_borrow_mut(|state| state.as_mut().map(ask))
}

/// Notes the call, and lets happen what was planned for it.
fn begin(verb: &str, target: &str) -> Result<Option<Error>, Error> {
    with(|state| {
        let call = format!("{verb} {target}");
        state.calls.push(call.clone());
        failure::planned(&mut state.planned, &call)
    })
    .unwrap_or_else(|| Err(Error::new("denied", "no `testing::Cluster` plays the cluster in this test")))
}

/// As [`begin`], for what changes something.
fn begin_write(verb: &str, target: &Object) -> Result<Option<Error>, Error> {
    if outside::is_asked() {
        return Err(Error::new("denied", "`verify` changes nothing"));
    }
    if let Some(reason) = outside::stop_requested() {
        return Err(Error::stopped(format!("nothing is changed any more: {reason}")).applied(crate::Applied::No));
    }
    begin(verb, &target.to_string())
}

/// Lets happen what is due until then, each thing at its time.
pub(super) fn pass_until(end: Duration) {
    while let Some((when, happen)) = next_until(end) {
        outside::set_slept(when.max(outside::slept()));
        // It is not this one's end that ends the cluster.
        happen(&ManuallyDrop::new(Cluster { thread: PhantomData }));
    }
}

fn next_until(end: Duration) -> Option<Later> {
    with(|state| (state.later.first()?.0 <= end).then(|| state.later.remove(0))).flatten()
}
