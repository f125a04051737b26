//! The host's interfaces `kubernetes`, `kubernetes-write` and `kubernetes-exec`.

use super::{
    bindings::claiflow::plugin::{
        kubernetes as reads, kubernetes_exec as programs, kubernetes_types as types, kubernetes_write as writes,
    },
    error,
};
use crate::{
    Error,
    kubernetes::{Object, Resource, Scope},
};

pub(crate) fn resources() -> Result<String, Error> {
    reads::resources().map_err(error)
}

pub(crate) fn get(target: &Object, options: &str) -> Result<String, Error> {
    reads::get(&object(target), options).map_err(error)
}

pub(crate) fn list(target: &Resource, scope: &Scope, options: &str) -> Result<Listing, Error> {
    reads::list_objects(&resource(target), &place(scope), options).map(Listing).map_err(error)
}

/// Pages of a list.
pub(crate) struct Listing(reads::Listing);

impl Listing {
    pub(crate) fn next(&self) -> Result<Option<String>, Error> {
        self.0.next().map_err(error)
    }
}

pub(crate) fn watch(target: &Resource, scope: &Scope, options: &str) -> Result<Watching, Error> {
    reads::watch(&resource(target), &place(scope), options).map(Watching).map_err(error)
}

/// Changes.
pub(crate) struct Watching(reads::Watching);

impl Watching {
    pub(crate) fn next(&self, timeout_ms: u32) -> Result<String, Error> {
        self.0.next(timeout_ms).map_err(error)
    }
}

pub(crate) fn read_log(pod: &Object, options: &str) -> Result<ByteStream, Error> {
    reads::read_log(&object(pod), options).map(ByteStream).map_err(error)
}

/// A log.
pub(crate) struct ByteStream(reads::ByteStream);

impl ByteStream {
    pub(crate) fn read(&self, max_bytes: u32, timeout_ms: u32) -> Result<Option<Vec<u8>>, Error> {
        self.0.read(max_bytes, timeout_ms).map_err(error)
    }
}

pub(crate) fn create(target: &Object, body: &str, options: &str) -> Result<String, Error> {
    writes::create(&object(target), body, options).map_err(error)
}

pub(crate) fn apply(target: &Object, body: &str, options: &str) -> Result<String, Error> {
    writes::apply(&object(target), body, options).map_err(error)
}

pub(crate) fn replace(target: &Object, body: &str, options: &str) -> Result<String, Error> {
    writes::replace(&object(target), body, options).map_err(error)
}

pub(crate) fn patch(target: &Object, kind: &str, body: &str, options: &str) -> Result<String, Error> {
    writes::patch(&object(target), kind, body, options).map_err(error)
}

pub(crate) fn remove(target: &Object, options: &str) -> Result<String, Error> {
    writes::remove(&object(target), options).map_err(error)
}

pub(crate) fn exec(pod: &Object, container: &str, command: &[String], options: &str) -> Result<Execution, Error> {
    programs::exec(&object(pod), container, command, options).map(Execution).map_err(error)
}

/// A program in a container.
pub(crate) struct Execution(programs::Execution);

impl Execution {
    pub(crate) fn write(&self, data: &[u8]) -> Result<(), Error> {
        self.0.write(data).map_err(error)
    }

    pub(crate) fn close_stdin(&self) {
        self.0.close_stdin();
    }

    /// Stream and bytes.
    pub(crate) fn read(&self, max_bytes: u32, timeout_ms: u32) -> Result<Option<(String, Vec<u8>)>, Error> {
        let chunk = self.0.read(max_bytes, timeout_ms).map_err(error)?;
        Ok(chunk.map(|chunk| (chunk.stream, chunk.data)))
    }

    pub(crate) fn status(&self) -> Result<String, Error> {
        self.0.status().map_err(error)
    }
}

fn resource(resource: &Resource) -> types::ApiResource {
    types::ApiResource {
        group: resource.group.to_string(),
        version: resource.version.to_string(),
        plural: resource.plural.to_string(),
        subresource: resource.subresource.to_string(),
    }
}

fn object(object: &Object) -> types::Object {
    types::Object {
        resource: resource(&object.resource),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    }
}

fn place(scope: &Scope) -> types::Scope {
    match scope {
        Scope::Cluster => types::Scope::Cluster,
        Scope::Namespace(namespace) => types::Scope::Namespace(namespace.clone()),
        Scope::Granted => types::Scope::Granted,
    }
}
