//! What a token says: when and for whom it holds, and who its caller is with which rights.

use serde_json::{Map, Value};

use super::{LEEWAY_S, Refusal, Settings};
use crate::model::{
    ids::lookup,
    people::{Caller, Role, Scope},
};

/// With `oidc:` before it, what the audit trail keeps of a name.
const SUBJECT_BYTES_MAX: usize = 250;
/// Claims whose text is a list of words with spaces between them (RFC 8693, section 4.2; `scp` is what some issuers call it).
const WORDS: [&str; 2] = ["scope", "scp"];
/// In a claim of clusters or templates: all of them.
const ALL: &str = "*";

type Claims = Map<String, Value>;

/// Issuer, audience and times. `now`: seconds since 1970.
///
/// # Errors
/// [`Refusal::Bad`].
pub(super) fn check(claims: &Claims, settings: &Settings, now: i64) -> Result<(), Refusal> {
    if claims.get("iss").and_then(Value::as_str) != Some(&settings.issuer) {
        return Err(Refusal::bad(format!("the token's issuer (`iss`) is not {}", settings.issuer)));
    }
    let is_ours = |value: &Value| value.as_str() == Some(&settings.audience);
    let for_us = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
        Some(audience) => is_ours(audience),
        None => false,
    };
    if !for_us {
        return Err(Refusal::bad(format!("the token's audience (`aud`) does not name `{}`", settings.audience)));
    }
    let (earliest, latest) = ((now - LEEWAY_S) as f64, (now + LEEWAY_S) as f64);
    match time(claims, "exp")? {
        None => return Err(Refusal::bad("the token has no end (`exp`)")),
        Some(end) if end <= earliest => return Err(Refusal::bad("the token has expired; get a new one")),
        Some(_) => {}
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|begin| begin > latest) {
            return Err(Refusal::bad(format!("the token does not hold yet (`{name}`); is a clock wrong?")));
        }
    }
    Ok(())
}

/// Seconds since 1970, which may have a fraction.
fn time(claims: &Claims, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64().filter(|seconds| seconds.is_finite()) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Refusal::bad(format!("the token's `{name}` is no number of seconds since 1970"))),
        },
    }
}

/// Who calls, once the signature was checked.
///
/// # Errors
/// [`Refusal::Bad`] where the claims give no role, or no subject.
pub(super) fn caller(claims: &Claims, settings: &Settings) -> Result<Caller, Refusal> {
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX || subject.chars().any(char::is_control) {
        return Err(Refusal::bad(format!(
            "the token's subject (`sub`) is not a text of 1 to {SUBJECT_BYTES_MAX} bytes without control characters"
        )));
    }
    let scope = Scope {
        clusters: reach(claims, settings.cluster_claim.as_deref(), lookup)?,
        templates: reach(claims, settings.template_claim.as_deref(), str::to_owned)?,
    };
    Ok(Caller { name: format!("oidc:{subject}"), role: role(claims, settings)?, scope })
}

fn role(claims: &Claims, settings: &Settings) -> Result<Role, Refusal> {
    let values = texts(claims, &settings.role_claim);
    let given = settings.grants.iter().filter(|grant| values.contains(&grant.value.as_str()));
    given.map(|grant| grant.role).max().ok_or_else(|| {
        let claim = &settings.role_claim;
        Refusal::bad(format!("the token's claim `{claim}` holds no value that gives a role here"))
    })
}

/// What a claim that limits rights lets a caller reach. Without the claim a limit would be missing, so it must be there.
fn reach(claims: &Claims, claim: Option<&str>, read: impl Fn(&str) -> String) -> Result<Option<Vec<String>>, Refusal> {
    let Some(claim) = claim else { return Ok(None) };
    if found(claims, claim).is_none() {
        return Err(Refusal::bad(format!("the token has no claim `{claim}`, which says what its caller may reach")));
    }
    let values = texts(claims, claim);
    Ok((!values.contains(&ALL)).then(|| values.into_iter().map(read).collect()))
}

/// The texts in a claim that is a text or a list of them.
fn texts<'a>(claims: &'a Claims, claim: &str) -> Vec<&'a str> {
    match found(claims, claim) {
        Some(Value::String(text)) if WORDS.contains(&claim) => text.split(' ').collect(),
        // Elsewhere a space may be part of a group's name.
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    }
}

/// A claim by its whole name, which may have dots (`https://example.com/roles`), or else along the names between them.
fn found<'a>(claims: &'a Claims, claim: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(claim) {
        return Some(value);
    }
    let (first, rest) = claim.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, name| value.as_object()?.get(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{caller, check};
    use crate::{
        identity::{Grant, Settings},
        model::people::{Caller, Role, Scope},
    };

    const NOW: i64 = 1_700_000_000;
    const CLUSTER: &str = "0f5658f37f2b45d881f19c7f56ea2e23";

    fn settings(role_claim: &str, limited: bool) -> Settings {
        let grant = |value: &str, role| Grant { value: value.into(), role };
        Settings {
            issuer: "https://id.example.com".into(),
            audience: "claiflow".into(),
            ca_file: None,
            role_claim: role_claim.into(),
            grants: vec![
                grant("ops", Role::Operator),
                grant("platform admins", Role::Admin),
                grant("read", Role::Viewer),
            ],
            cluster_claim: limited.then(|| "reach.clusters".into()),
            template_claim: limited.then(|| "templates".into()),
        }
    }

    /// Right claims with some changed; null takes one away.
    fn claims(more: Value) -> Map<String, Value> {
        let base = json!({"iss": "https://id.example.com", "aud": "claiflow", "exp": NOW + 60, "sub": "ann"});
        let mut claims = base.as_object().unwrap().clone();
        claims.extend(more.as_object().unwrap().clone());
        claims.retain(|_, value| !value.is_null());
        claims
    }

    #[test]
    fn a_token_holds_for_one_issuer_one_audience_and_its_time() {
        for (more, part) in [
            (json!({}), ""),
            (json!({"aud": ["other", "claiflow"]}), ""),
            (json!({"exp": NOW - 29, "nbf": NOW + 30, "iat": NOW + 30}), ""),
            (json!({"exp": NOW as f64 + 0.5}), ""),
            (json!({"iss": null}), "iss"),
            (json!({"iss": "https://id.example.com/"}), "iss"),
            (json!({"iss": "https://ID.example.com"}), "iss"),
            (json!({"iss": ["https://id.example.com"]}), "iss"),
            (json!({"aud": null}), "aud"),
            (json!({"aud": "claiflow2"}), "aud"),
            (json!({"aud": "Claiflow"}), "aud"),
            (json!({"aud": []}), "aud"),
            (json!({"aud": {"claiflow": "claiflow"}}), "aud"),
            (json!({"exp": null}), "exp"),
            (json!({"exp": NOW - 30}), "expired"),
            (json!({"exp": (NOW + 60).to_string()}), "exp"),
            (json!({"exp": [NOW + 60]}), "exp"),
            (json!({"nbf": NOW + 31}), "nbf"),
            (json!({"nbf": "now"}), "nbf"),
            (json!({"iat": NOW + 31}), "iat"),
        ] {
            let said = check(&claims(more.clone()), &settings("roles", false), NOW);
            match part {
                "" => assert_eq!(said, Ok(()), "{more}"),
                part => assert!(said.as_ref().unwrap_err().to_string().contains(part), "{more}: {said:?}"),
            }
        }
    }

    #[test]
    fn the_highest_role_that_a_claim_gives_counts_and_none_is_no_access() {
        for (claim, more, role) in [
            ("roles", json!({"roles": ["read", "ops", "x", 5]}), Some(Role::Operator)),
            ("roles", json!({"roles": "platform admins"}), Some(Role::Admin)),
            ("roles", json!({"roles": "read ops"}), None),
            ("roles", json!({"roles": ["Ops", "admin", ""]}), None),
            ("roles", json!({"roles": {"ops": true}}), None),
            ("roles", json!({"role": "ops"}), None),
            ("scope", json!({"scope": "openid read ops"}), Some(Role::Operator)),
            ("scope", json!({"scope": "openid platform admins"}), None),
            ("realm_access.roles", json!({"realm_access": {"roles": ["ops"]}}), Some(Role::Operator)),
            ("realm_access.roles", json!({"realm_access": ["ops"]}), None),
            ("https://a.example/roles", json!({"https://a.example/roles": ["read"]}), Some(Role::Viewer)),
        ] {
            let said = caller(&claims(more.clone()), &settings(claim, false));
            match role {
                None => assert!(said.unwrap_err().to_string().contains(claim), "{more}"),
                Some(role) => {
                    let scope = Scope::default();
                    assert_eq!(said, Ok(Caller { name: "oidc:ann".into(), role, scope }), "{more}");
                }
            }
        }
    }

    #[test]
    fn what_limits_a_caller_must_be_there() {
        let hyphens = "0F5658F3-7F2B-45D8-81F1-9C7F56EA2E23";
        for (more, reach) in [
            (json!({"templates": "restart"}), None),
            (json!({"reach": {"clusters": []}}), None),
            (json!({"reach": {"clusters": [hyphens]}, "templates": "a"}), Some((Some(vec![CLUSTER]), Some(vec!["a"])))),
            (json!({"reach": {"clusters": []}, "templates": ["*", "a"]}), Some((Some(vec![]), None))),
            (json!({"reach": {"clusters": "*"}, "templates": {"*": "*"}}), Some((None, Some(vec![])))),
        ] {
            let mut all = claims(json!({"roles": "read"}));
            all.extend(more.as_object().unwrap().clone());
            let said = caller(&all, &settings("roles", true)).map(|caller| caller.scope).ok();
            let owned =
                |list: Option<Vec<&str>>| list.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>());
            let reach =
                reach.map(|(clusters, templates)| Scope { clusters: owned(clusters), templates: owned(templates) });
            assert_eq!(said, reach, "{more}");
        }
    }

    #[test]
    fn a_subject_can_stand_in_a_line_of_the_audit_trail() {
        for sub in [json!(null), json!(""), json!(5), json!("a\nb"), json!("x".repeat(251))] {
            let said = caller(&claims(json!({"sub": sub, "roles": "read"})), &settings("roles", false));
            assert!(said.unwrap_err().to_string().contains("sub"), "{sub}");
        }
    }
}
