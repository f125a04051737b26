//! A signed token (RFC 7515, compact) as text: its three parts, bounded, and the algorithms that are read at all.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Refusal;

/// Tokens with many groups are long; a header line of a proxy is not longer.
const BYTES_MAX: usize = 16 << 10;
const SIGNATURE_BYTES_MAX: usize = 1_024;
const KEY_ID_BYTES_MAX: usize = 256;

/// How a token may be signed: with a private key. A secret that is shared, and no signature at all, have no name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A token whose signature nobody has looked at yet.
#[derive(Debug)]
pub(super) struct Token<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) claims: Map<String, Value>,
    /// What the signature is about.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    /// Extensions that must be understood; none is.
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    /// Reads the parts.
    ///
    /// # Errors
    /// [`Refusal::Bad`].
    pub(super) fn read(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > BYTES_MAX {
            return Err(Refusal::bad(format!("the token is longer than {BYTES_MAX} bytes")));
        }
        let shape = || Refusal::bad("the token is not a signed JWT: three parts in base64url with dots between them");
        let (signed, signature) = text.rsplit_once('.').ok_or_else(shape)?;
        let (header, payload) = signed.split_once('.').ok_or_else(shape)?;
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| shape());
        let (header, payload, signature) = (bytes(header)?, bytes(payload)?, bytes(signature)?);
        let header: Header =
            serde_json::from_slice(&header).map_err(|_| Refusal::bad("the token's header is not that of a JWT"))?;
        let algorithm = algorithm(&header.alg)?;
        if header.crit.is_some() {
            return Err(Refusal::bad("the token's header has `crit`, and no extension is understood"));
        }
        if header.typ.as_deref().is_some_and(|kind| !is_known_kind(kind)) {
            return Err(Refusal::bad("the token's `typ` is neither `JWT` nor `at+jwt`"));
        }
        if header.kid.as_ref().is_some_and(|id| id.len() > KEY_ID_BYTES_MAX) {
            return Err(Refusal::bad(format!("the token's `kid` is longer than {KEY_ID_BYTES_MAX} bytes")));
        }
        if signature.is_empty() || signature.len() > SIGNATURE_BYTES_MAX {
            return Err(Refusal::bad("the token's signature has no length that one can have"));
        }
        let claims =
            serde_json::from_slice(&payload).map_err(|_| Refusal::bad("the token's claims are not a JSON object"))?;
        Ok(Self { algorithm, key_id: header.kid, claims, signed: signed.as_bytes(), signature })
    }
}

/// # Errors
/// [`Refusal::Bad`] for `none`, for a secret that is shared, and for whatever is not known.
fn algorithm(name: &str) -> Result<Algorithm, Refusal> {
    serde_json::from_value(Value::from(name)).map_err(|_| {
        Refusal::bad("the token is not signed by RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA")
    })
}

/// What people send by mistake, such as a logout token, has another one.
fn is_known_kind(kind: &str) -> bool {
    ["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| known.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, Token};
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_is_read_with_the_algorithms_of_private_keys_alone() {
        for (name, algorithm) in [
            ("RS256", Some(Algorithm::Rs256)),
            ("PS512", Some(Algorithm::Ps512)),
            ("ES256", Some(Algorithm::Es256)),
            ("EdDSA", Some(Algorithm::EdDsa)),
            ("none", None),
            ("None", None),
            ("", None),
            ("HS256", None),
            ("HS512", None),
            ("rs256", None),
            ("RS1", None),
            ("RSA-OAEP", None),
        ] {
            let text = token(&format!(r#"{{"alg":"{name}"}}"#), "{}");
            assert_eq!(Token::read(&text).ok().map(|token| token.algorithm), algorithm, "{name}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        let long = "x".repeat(300);
        for (text, part) in [
            ("hunter2".to_owned(), "three parts"),
            ("hunter2.hunter2".into(), "three parts"),
            ("a.hunter2.c.d".into(), "three parts"),
            (token("hunter2", "{}"), "header"),
            (token("[]", "{}"), "header"),
            (token(r#"{"alg":1}"#, "{}"), "header"),
            (token(r#"{"alg":"RS256","alg":"none"}"#, "{}"), "header"),
            (token(r#"{"alg":"RS256","crit":["hunter2"]}"#, "{}"), "crit"),
            (token(r#"{"alg":"RS256","typ":"logout+jwt"}"#, "{}"), "typ"),
            (token(&format!(r#"{{"alg":"RS256","kid":"{long}"}}"#), "{}"), "kid"),
            (token(r#"{"alg":"RS256"}"#, "hunter2"), "claims"),
            (token(r#"{"alg":"RS256"}"#, "[1]"), "claims"),
            (token(r#"{"alg":"RS256"}"#, &"[".repeat(5_000)), "claims"),
            (token(r#"{"alg":"RS256"}"#, "{}").replace("c2ln", ""), "signature"),
            ("x".repeat(20_000), "16384 bytes"),
        ] {
            let why = Token::read(&text).unwrap_err().to_string();
            assert!(why.contains(part) && !why.contains("hunter2"), "{text}: {why}");
        }
    }
}
