//! Reads.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

use super::{Listing, Log, LogQuery, Object, Query, Resource, Scope, Watching, options::text, read};
use crate::{Error, outside::kubernetes as outside};

/// One resource in one place. `T` is what an object is read as.
///
/// ```
/// use claiflow_sdk::kubernetes::{Api, Resource};
///
/// #[derive(serde::Deserialize)]
/// struct Deployment {
///     spec: Spec,
/// }
/// #[derive(serde::Deserialize)]
/// struct Spec {
///     replicas: u32,
/// }
///
/// let deployments = Api::<Deployment>::in_namespace(Resource::new("apps", "v1", "deployments"), "shop");
/// # let _ = || deployments.get("web").map(|web| web.spec.replicas);
/// ```
#[derive(Debug, Clone)]
pub struct Api<T = Value> {
    resource: Resource,
    scope: Scope,
    read_as: PhantomData<fn() -> T>,
}

impl<T> Api<T> {
    /// Objects of a kind that lies in namespaces, in one of them.
    pub fn in_namespace(resource: Resource, namespace: impl Into<String>) -> Self {
        Self::within(resource, Scope::Namespace(namespace.into()))
    }

    /// Objects of a kind that lies in no namespace.
    pub fn of_cluster(resource: Resource) -> Self {
        Self::within(resource, Scope::Cluster)
    }

    /// Objects in every namespace that the grant names: to list and to watch.
    pub fn granted(resource: Resource) -> Self {
        Self::within(resource, Scope::Granted)
    }

    /// Objects in a place.
    pub fn within(resource: Resource, scope: Scope) -> Self {
        Self { resource, scope, read_as: PhantomData }
    }

    /// The same objects' subresource, such as `scale`.
    #[must_use]
    pub fn sub(&self, subresource: &'static str) -> Self {
        Self::within(self.resource.sub(subresource), self.scope.clone())
    }

    /// What it is about.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// One of its objects.
    ///
    /// # Errors
    /// `invalid` where the place is every granted namespace: an object lies in one.
    pub fn object(&self, name: &str) -> Result<Object, Error> {
        let namespace = match &self.scope {
            Scope::Cluster => None,
            Scope::Namespace(namespace) => Some(namespace.clone()),
            Scope::Granted => {
                let message = format!("say in which namespace `{name}` of {} is", self.resource);
                return Err(Error::invalid(message));
            }
        };
        Ok(Object { resource: self.resource.clone(), namespace, name: name.to_owned() })
    }
}

impl<T: DeserializeOwned> Api<T> {
    /// One object.
    ///
    /// # Errors
    /// `not-found`, `denied`, `unavailable`, …; `failed` where it does not fit `T`.
    pub fn get(&self, name: &str) -> Result<T, Error> {
        self.get_with(name, &Query::new())
    }

    /// One object, or none where there is none of this name.
    ///
    /// # Errors
    /// As [`Api::get`], but for `not-found` of the object itself.
    pub fn find(&self, name: &str, query: &Query) -> Result<Option<T>, Error> {
        match self.get_with(name, query) {
            Ok(object) => Ok(Some(object)),
            // A kind that is not known has no answer of the API server.
            Err(error) if error.code() == "not-found" && error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One object, or a few of its [fields](Query::fields); nothing else of the query is taken.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn get_with(&self, name: &str, query: &Query) -> Result<T, Error> {
        let target = self.object(name)?;
        read(&outside::get(&target, &text(query)?)?, || target.to_string())
    }

    /// All objects that the query names, page by page.
    ///
    /// # Errors
    /// As [`Api::get`], but for `not-found`; later pages may fail too.
    pub fn list(&self, query: &Query) -> Result<Listing<T>, Error> {
        let pages = outside::list(&self.resource, &self.scope, &text(query)?)?;
        Ok(Listing::new(pages, self.resource.to_string(), query.most()))
    }

    /// The same as one JSON array, whose objects are checked and not read: what nobody looks into costs little beyond its
    /// bytes.
    ///
    /// # Errors
    /// As [`Api::list`], of any page.
    pub fn list_text(&self, query: &Query) -> Result<Box<RawValue>, Error> {
        let unread = |why: &str| Error::failed(format!("a page of {} is no JSON array: {why}", self.resource));
        let pages = outside::list(&self.resource, &self.scope, &text(query)?)?;
        let mut all = String::from("[");
        while let Some(page) = pages.next()? {
            let items = page.trim().strip_prefix('[').and_then(|page| page.strip_suffix(']'));
            let items = items.ok_or_else(|| unread("it has no brackets"))?.trim();
            if all.len() > 1 && !items.is_empty() {
                all.push(',');
            }
            all.push_str(items);
        }
        all.push(']');
        RawValue::from_string(all).map_err(|error| unread(&error.to_string()))
    }

    /// What changes from now on, or [since](Query::since) a version. Where no version is given, it begins with what is there.
    ///
    /// # Errors
    /// As [`Api::list`].
    pub fn watch(&self, query: &Query) -> Result<Watching<T>, Error> {
        let events = outside::watch(&self.resource, &self.scope, &text(query)?)?;
        Ok(Watching::new(events, self.resource.to_string()))
    }

    /// A pod's log: `get` on `pods/log`.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn log(&self, pod: &str, query: &LogQuery) -> Result<Log, Error> {
        Ok(Log::new(outside::read_log(&self.object(pod)?, &text(query)?)?))
    }
}
