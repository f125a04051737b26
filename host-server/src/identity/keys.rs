//! An issuer's public keys (RFC 7517), and whether a token is signed with one of them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::Value;

use super::token::{Algorithm, Token};

/// More keys of one issuer are not kept.
const KEYS_MAX: usize = 64;

/// A key that signatures can be checked with.
#[derive(Clone, Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// The one algorithm that it is for, when its issuer says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    /// Modulus and exponent, big-endian without leading zeros.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Points, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that can be used here; others, such as those for encryption, are passed over.
///
/// # Errors
/// A sentence for what is no set.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Key>, String> {
    let set: Set = serde_json::from_slice(bytes).map_err(|error| format!("its keys are no JWK set: {error}"))?;
    let usable = |value: Value| serde_json::from_value::<Jwk>(value).ok().and_then(Key::of);
    Ok(set.keys.into_iter().filter_map(usable).take(KEYS_MAX).collect())
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        let signs = jwk.r#use.as_deref().is_none_or(|use_| use_ == "sig")
            && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        let number = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => Material::Rsa { n: trimmed(number(&jwk.n)?), e: trimmed(number(&jwk.e)?) },
            ("EC", Some("P-256")) => Material::P256(point(&number(&jwk.x)?, &number(&jwk.y)?, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(&number(&jwk.x)?, &number(&jwk.y)?, 48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(number(&jwk.x).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        signs.then_some(Self { id: jwk.kid, algorithm: jwk.alg, material })
    }

    /// Whether the token names this key, or names none and could be signed with it.
    pub(super) fn may_sign(&self, token: &Token<'_>) -> bool {
        let same_name = token.key_id.is_none() || token.key_id == self.id;
        let same_kind = matches!(
            (&self.material, token.algorithm),
            (
                Material::Rsa { .. },
                Algorithm::Rs256
                    | Algorithm::Rs384
                    | Algorithm::Rs512
                    | Algorithm::Ps256
                    | Algorithm::Ps384
                    | Algorithm::Ps512
            ) | (Material::P256(_), Algorithm::Es256)
                | (Material::P384(_), Algorithm::Es384)
                | (Material::Ed25519(_), Algorithm::EdDsa)
        );
        same_name && same_kind && self.algorithm.as_deref().is_none_or(|name| name == token.algorithm.name())
    }

    /// Whether the signature is this key's. RSA moduli have 2,048 to 8,192 bits; a shorter key signs nothing.
    pub(super) fn signed(&self, token: &Token<'_>) -> bool {
        let verified = match &self.material {
            Material::Rsa { n, e } => {
                let Some(parameters) = rsa(token.algorithm) else { return false };
                RsaPublicKeyComponents { n, e }.verify(parameters, token.signed, &token.signature)
            }
            Material::P256(point) => verify(&signature::ECDSA_P256_SHA256_FIXED, point, token),
            Material::P384(point) => verify(&signature::ECDSA_P384_SHA384_FIXED, point, token),
            Material::Ed25519(key) => verify(&signature::ED25519, key, token),
        };
        self.may_sign(token) && verified.is_ok()
    }
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    token: &Token<'_>,
) -> Result<(), ring::error::Unspecified> {
    UnparsedPublicKey::new(algorithm, key).verify(token.signed, &token.signature)
}

const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

fn trimmed(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// SEC 1, uncompressed: 4, x, y.
fn point(x: &[u8], y: &[u8], bytes: usize) -> Option<Vec<u8>> {
    (x.len() == bytes && y.len() == bytes).then(|| [&[4], x, y].concat())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::read;
    use crate::identity::token::{Algorithm, Token};

    /// RFC 7515, appendix A.2.
    const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    /// RFC 7515, appendix A.3.
    const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    const EC_TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    /// RFC 8037, appendix A.
    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const ED_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    #[test]
    fn the_signatures_of_the_standards_hold_and_no_other_key_or_text_does() {
        let rsa = json!({"kty": "RSA", "n": RSA_N, "e": "AQAB"});
        let ec = json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y});
        let other = json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X});
        let set = json!({"keys": [rsa, ec, other]}).to_string();
        let keys = read(set.as_bytes()).unwrap();
        assert_eq!(keys.len(), 3);
        for (text, signer) in [(RSA_TOKEN, 0), (EC_TOKEN, 1)] {
            let token = Token::read(text).unwrap();
            for (number, key) in keys.iter().enumerate() {
                assert_eq!(key.signed(&token), number == signer, "{text}: {number}");
            }
            let changed = text.replace("qb2UiL", "qb2YiL");
            assert!(!keys[signer].signed(&Token::read(&changed).unwrap()));
            let cut = Token { signature: token.signature[1..].to_vec(), ..token };
            assert!(!keys[signer].signed(&cut));
        }
        // Its payload is a sentence, so it is no token that would be read.
        let (signed, signature) = ED_TOKEN.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let claims = serde_json::Map::new();
        let token = Token { algorithm: Algorithm::EdDsa, key_id: None, claims, signed: signed.as_bytes(), signature };
        assert_eq!(keys.iter().map(|key| key.signed(&token)).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn a_key_signs_nothing_that_it_is_not_for() {
        let token = Token::read(EC_TOKEN).unwrap();
        for (more, signs) in [
            (json!({}), true),
            (json!({"use": "sig", "alg": "ES256", "kid": "a"}), true),
            (json!({"key_ops": ["verify"]}), true),
            (json!({"alg": "ES384"}), false),
            (json!({"use": "enc"}), false),
            (json!({"key_ops": ["deriveKey"]}), false),
            (json!({"crv": "P-384"}), false),
            (json!({"kty": "oct", "k": "aHVudGVyMg"}), false),
            (json!({"y": EC_X}), false),
            (json!({"y": "AA"}), false),
        ] {
            let mut key = json!({"kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y});
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let keys = read(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
            assert_eq!(keys.iter().any(|key| key.signed(&token)), signs, "{more}");
        }
    }

    #[test]
    fn a_short_modulus_signs_nothing_and_what_is_no_key_is_passed_over() {
        let short = json!({"keys": [{"kty": "RSA", "n": "ofgWCuLjybRlzo0t", "e": "AQAB"}, 5, {"kty": "oct"}, {}]});
        let keys = read(short.to_string().as_bytes()).unwrap();
        assert_eq!(keys.len(), 1);
        assert!(!keys[0].signed(&Token::read(RSA_TOKEN).unwrap()));
        for text in ["", "[]", r#"{"keys":5}"#, "null"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
