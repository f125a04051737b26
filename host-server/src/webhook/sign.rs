//! Signatures as Standard Webhooks 1.0 has them: HMAC-SHA256 over id, time and document.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::app::webhook::secret_bytes;

/// The header `webhook-signature`: one signature for each secret, so that receivers can change from one to the other. None where there is
/// no secret.
pub(super) fn signature(secrets: Option<&str>, id: &str, timestamp_s: i64, document: &[u8]) -> Option<String> {
    let secrets: Vec<String> = serde_json::from_str(secrets?).unwrap_or_default();
    let signed: Vec<String> = secrets
        .iter()
        .filter_map(|secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&secret_bytes(secret)?).ok()?;
            mac.update(format!("{id}.{timestamp_s}.").as_bytes());
            mac.update(document);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        })
        .collect();
    (!signed.is_empty()).then(|| signed.join(" "))
}

#[cfg(test)]
mod tests {
    use super::signature;

    /// The example of the specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn a_document_is_signed_as_the_specification_shows_with_each_secret() {
        let signed = |secrets: &[&str]| {
            let text = serde_json::to_string(secrets).unwrap();
            signature(Some(&text), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#)
        };
        assert_eq!(signed(&[SECRET]).as_deref(), Some(SIGNED));
        let other = format!("whsec_{}", "A".repeat(32));
        let both = signed(&[&other, SECRET]).unwrap();
        assert!(both.ends_with(&format!(" {SIGNED}")) && both.starts_with("v1,"), "{both}");
        assert_eq!(signed(&[]), None);
        assert_eq!(signature(None, "a", 0, b""), None);
    }
}
