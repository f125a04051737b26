//! How a header carries a credential, by what it holds.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::header::AUTHORIZATION;
use serde_json::{Map, Value};

use super::credential::{Credential, Data};
use crate::{
    grants::http::carrier,
    http::{Carried, Failure, Secret},
};

/// A text with one of these before it says itself how it is read.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// `granted` is the header that the grant names. A text, as of `grafana`, is a bearer token, or in a header of the grant the value
/// itself; `{username, password}` is `Basic`; `{header, value}` names its own header.
///
/// # Errors
/// `denied` where grant and credential name different headers, `unavailable` where no header can carry it.
pub(super) fn carried(name: &str, credential: &Credential, granted: Option<&str>) -> Result<Carried, Failure> {
    let in_granted = |value: Vec<u8>| {
        let header = granted.unwrap_or(AUTHORIZATION.as_str()).to_owned();
        Ok(Carried { header, value: Secret::new(value) })
    };
    match &credential.data {
        Data::Plain(bytes) => in_granted(bytes.clone()),
        Data::Json(Value::String(text)) => in_granted(token(text, granted).into_bytes()),
        Data::Json(Value::Object(object)) => match (basic(object), own(object)) {
            (Some(value), _) => in_granted(value.into_bytes()),
            (None, Some((header, value))) => {
                let header = carrier(header).map_err(|why| unusable(name, &why))?;
                if granted.is_some_and(|granted| granted != header) {
                    let message = format!(
                        "the credential `{name}` goes in the header `{header}`, and its grant names `{}`",
                        granted.unwrap_or_default()
                    );
                    return Err(Failure::new("denied", message));
                }
                Ok(Carried { header, value: Secret::new(value.as_bytes()) })
            }
            (None, None) => Err(unusable(
                name,
                &format!(
                    "one of the type `{}` holds neither `username` and `password` nor `header` and `value`",
                    credential.kind
                ),
            )),
        },
        Data::Json(_) => Err(unusable(name, "it is neither a text nor an object")),
    }
}

fn token(text: &str, granted: Option<&str>) -> String {
    let text = text.trim();
    let has_scheme =
        text.split_once(' ').is_some_and(|(scheme, _)| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    let is_own_header = granted.is_some_and(|header| header != AUTHORIZATION.as_str());
    if has_scheme || is_own_header { text.to_owned() } else { format!("Bearer {text}") }
}

fn basic(object: &Map<String, Value>) -> Option<String> {
    let (username, password) = (object.get("username")?.as_str()?, object.get("password")?.as_str()?);
    // What follows the first colon would be read as the password.
    (!username.contains(':')).then(|| format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
}

fn own(object: &Map<String, Value>) -> Option<(&str, &str)> {
    Some((object.get("header")?.as_str()?, object.get("value")?.as_str()?))
}

fn unusable(name: &str, why: &str) -> Failure {
    Failure::new("unavailable", format!("no header can carry the credential `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Credential, Data, carried};
    use crate::http::Secret;

    fn of(data: Data, granted: Option<&str>) -> Result<(String, Secret), (String, String)> {
        let credential = Credential { kind: "openstack".into(), data, effect_key: String::new() };
        let carried = carried("shop", &credential, granted);
        carried.map(|it| (it.header, it.value)).map_err(|failure| (failure.code.into(), failure.message))
    }

    #[test]
    fn what_a_credential_holds_says_how_it_is_carried() {
        let cases: [(Value, Option<&str>, &str, &str); 8] = [
            (json!("abc\n"), None, "authorization", "Bearer abc"),
            (json!("Bearer abc"), None, "authorization", "Bearer abc"),
            (json!("basic dTpw"), None, "authorization", "basic dTpw"),
            (json!("abc"), Some("authorization"), "authorization", "Bearer abc"),
            (json!("abc"), Some("x-api-key"), "x-api-key", "abc"),
            (json!({"username": "u", "password": "p:q"}), None, "authorization", "Basic dTpwOnE="),
            (json!({"header": "X-Token", "value": "abc"}), None, "x-token", "abc"),
            (json!({"header": "X-Token", "value": "abc"}), Some("x-token"), "x-token", "abc"),
        ];
        for (data, granted, header, value) in cases {
            assert_eq!(of(Data::Json(data.clone()), granted), Ok((header.into(), Secret::new(value))), "{data}");
        }
        let plain = of(Data::Plain(b"ApiKey abc\n".to_vec()), None);
        assert_eq!(plain, Ok(("authorization".into(), Secret::new("ApiKey abc"))));
    }

    #[test]
    fn what_no_header_can_carry_is_said_without_its_words() {
        for (data, granted, code, part) in [
            (json!({"token": "hidden"}), None, "unavailable", "neither `username`"),
            (json!({"username": "a:hidden", "password": "hidden"}), None, "unavailable", "neither `username`"),
            (json!({"header": "host", "value": "hidden"}), None, "unavailable", "how a message travels"),
            (json!({"header": "a b", "value": "hidden"}), None, "unavailable", "the name of a header"),
            (json!({"header": "x-a", "value": "hidden"}), Some("x-b"), "denied", "names `x-b`"),
            (json!(7), None, "unavailable", "neither a text"),
        ] {
            let (said, message) = of(Data::Json(data), granted).unwrap_err();
            assert!(said == code && message.contains(part) && !message.contains("hidden"), "{said}: {message}");
        }
    }
}
