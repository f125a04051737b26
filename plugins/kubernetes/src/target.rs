//! From a command's name and its inputs to what it is about.

use claiflow_sdk::{
    Context, Error,
    kubernetes::{Api, Granted, Resource, Scope, granted},
};

/// The resource that the name of the command says: `deployments.get.apps/v1`, `pods/status.get.v1`. Case does not matter.
///
/// # Errors
/// `invalid` for what is no version.
pub(crate) fn resource(context: &Context) -> Result<Resource, Error> {
    let (version, plural) = (context.capture("version")?, context.capture("resource")?);
    // A group of the core group's version has dots in most cases, and its version none.
    if let Some((group, last)) = version.rsplit_once('.').filter(|_| !version.contains('/')) {
        // `v1.apps` is as often meant as `apps.v1`.
        let (group, last) = match version.split_once('.') {
            Some((first, rest)) if is_version(first) => (rest, first),
            _ => (group, last),
        };
        let message = format!("`{version}` is no version: the command ends in `{group}/{last}`, with a slash");
        return Err(Error::invalid(message));
    }
    Ok(Resource::of(&version.to_ascii_lowercase(), &plural.to_ascii_lowercase()))
}

/// Such as `v1` and `v2beta1`.
fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// The objects of that resource in one namespace, or of a cluster-scoped kind where none is given. Whether one belongs
/// there knows the host.
///
/// # Errors
/// As [`resource`].
pub(crate) fn place<T>(context: &Context, namespace: Option<&str>) -> Result<Api<T>, Error> {
    let scope = match given(namespace) {
        Some(namespace) => Scope::Namespace(namespace.to_owned()),
        None => Scope::Cluster,
    };
    Ok(Api::within(resource(context)?, scope))
}

/// Where to look for objects: in a namespace, or everywhere that the grant names.
///
/// # Errors
/// As [`resource`]; `unavailable` where the API server does not say what it has.
pub(crate) fn places<T>(context: &Context, namespace: Option<&str>) -> Result<Api<T>, Error> {
    let resource = resource(context)?;
    if let Some(namespace) = given(namespace) {
        return Ok(Api::in_namespace(resource, namespace));
    }
    let lies_in_none = known(&resource)?.is_some_and(|kind| !kind.namespaced);
    Ok(Api::within(resource, if lies_in_none { Scope::Cluster } else { Scope::Granted }))
}

/// What the host knows of a resource that the grant names.
///
/// # Errors
/// `unavailable` where the API server does not say what it has.
pub(crate) fn known(resource: &Resource) -> Result<Option<Granted>, Error> {
    Ok(granted()?.into_iter().find(|granted| granted.group == resource.group && granted.plural == resource.plural))
}

/// Absent, empty and null are the same.
pub(crate) fn given(namespace: Option<&str>) -> Option<&str> {
    namespace.filter(|namespace| !namespace.is_empty())
}
