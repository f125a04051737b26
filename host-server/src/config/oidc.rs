//! `auth.oidc`: whose tokens are believed, and what their claims give.

use super::{Error, Mode, keys::Settings};
use crate::{
    identity::{self, Grant},
    model::people::Role,
};

const ISSUER: &str = "auth.oidc.issuer";
const AUDIENCE: &str = "auth.oidc.audience";
const CA_FILE: &str = "auth.oidc.caFile";
const ROLE_CLAIM: &str = "auth.oidc.roleClaim";
const CLUSTER_CLAIM: &str = "auth.oidc.clusterClaim";
const TEMPLATE_CLAIM: &str = "auth.oidc.templateClaim";
/// Values of the role claim, for each role.
const ROLES: [(&str, Role); 3] = [
    ("auth.oidc.roles.viewer", Role::Viewer),
    ("auth.oidc.roles.operator", Role::Operator),
    ("auth.oidc.roles.admin", Role::Admin),
];
/// What providers call the claim most often.
const USUAL_ROLE_CLAIM: &str = "roles";

/// The issuer, when one is configured.
///
/// # Errors
/// [`Error::Value`] for keys without an issuer, for what is missing, and for an address that no token's issuer may have.
pub(super) fn read(settings: &Settings, mode: Mode) -> Result<Option<identity::Settings>, Error> {
    let mut grants = Vec::new();
    for (key, role) in ROLES {
        let values = settings.get(key).unwrap_or_default().split(',').map(str::trim);
        grants.extend(values.filter(|value| !value.is_empty()).map(|value| Grant { value: value.to_owned(), role }));
    }
    let Some(issuer) = settings.get(ISSUER) else {
        let keys = [AUDIENCE, CA_FILE, ROLE_CLAIM, CLUSTER_CLAIM, TEMPLATE_CLAIM];
        let lonely = keys.into_iter().chain(ROLES.map(|(key, _)| key)).find(|key| settings.get(key).is_some());
        return match lonely {
            None if mode == Mode::Oidc => {
                Err(Error::value(ISSUER, "`auth.mode: oidc` needs it, as https://id.example.com"))
            }
            Some(key) => Err(Error::value(ISSUER, format!("`{key}` needs it, as https://id.example.com"))),
            None => Ok(None),
        };
    };
    if mode != Mode::Oidc {
        let why = format!("`{ISSUER}` is set: its tokens are believed where this is `oidc`");
        return Err(Error::value("auth.mode", why));
    }
    identity::issuer(issuer).map_err(|why| Error::value(ISSUER, why))?;
    let audience = settings.get(AUDIENCE).ok_or_else(|| {
        Error::value(AUDIENCE, "is missing: a token that was made for another service is not believed")
    })?;
    if grants.is_empty() {
        return Err(Error::value(
            "auth.oidc.roles",
            "no value of the role claim gives a role, so nobody could call; for instance `operator: [claiflow-operators]`",
        ));
    }
    Ok(Some(identity::Settings {
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        ca_file: settings.get(CA_FILE).map(Into::into),
        role_claim: settings.text(ROLE_CLAIM, USUAL_ROLE_CLAIM),
        grants,
        cluster_claim: settings.get(CLUSTER_CLAIM).map(str::to_owned),
        template_claim: settings.get(TEMPLATE_CLAIM).map(str::to_owned),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use crate::{identity::Grant, model::people::Role};

    #[test]
    fn an_issuer_comes_with_its_audience_and_at_least_one_role() {
        let grant = |value: &str, role| Grant { value: value.into(), role };
        let yaml = "auth: {mode: oidc, oidc: {issuer: 'https://id.example.com', audience: claiflow, roles: {admin: [a, b c], viewer: d}}}";
        let oidc = read(yaml).unwrap().oidc.unwrap();
        assert_eq!((oidc.role_claim.as_str(), oidc.cluster_claim, oidc.ca_file), ("roles", None, None));
        assert_eq!(oidc.grants, [grant("d", Role::Viewer), grant("a", Role::Admin), grant("b c", Role::Admin)]);
        assert_eq!(read("").unwrap().oidc, None);
    }

    #[test]
    fn what_would_believe_too_much_or_nobody_is_refused() {
        for (oidc, parts) in [
            ("{}", &["`auth.oidc.issuer`", "`auth.mode: oidc`"][..]),
            ("{audience: a}", &["`auth.oidc.issuer`", "`auth.oidc.audience`"]),
            ("{roles: {admin: a}}", &["`auth.oidc.issuer`", "roles.admin"]),
            ("{issuer: 'https://a.example', roles: {admin: a}}", &["`auth.oidc.audience`"]),
            ("{issuer: 'https://a.example', audience: a}", &["`auth.oidc.roles`", "operator"]),
            ("{issuer: 'http://a.example', audience: a, roles: {admin: a}}", &["`auth.oidc.issuer`", "https"]),
            ("{issuer: 'a.example', audience: a, roles: {admin: a}}", &["`auth.oidc.issuer`", "https"]),
            ("{issuer: 'https://a.example', roles: {root: a}}", &["`auth.oidc.roles.root`"]),
            ("{issuer: 'https://a.example', audience: a, roles: {admin: ['cn=a,ou=b']}}", &["comma"]),
        ] {
            let error = read(&format!("auth: {{mode: oidc, oidc: {oidc}}}")).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{oidc}: {error}");
        }
    }

    #[test]
    fn an_issuer_is_believed_only_where_the_mode_says_so() {
        let oidc = "oidc: {issuer: 'https://a.example', audience: a, roles: {admin: a}}";
        for yaml in [
            format!("auth: {{{oidc}}}"),
            format!("auth: {{mode: none, {oidc}}}"),
            format!("auth: {{mode: token, {oidc}}}"),
        ] {
            let error = read(&yaml).unwrap_err();
            assert!(error.contains("`auth.mode`") && error.contains("`oidc`"), "{yaml}: {error}");
        }
    }
}
