//! Image references: which repository, and what of it.

use claiflow_sdk::Error;

const TAG_MAX_BYTES: usize = 128;
const DIGEST: &str = "sha256:";

/// What follows the repository: `:TAG`, `@sha256:…` or `:TAG@sha256:…`.
///
/// # Errors
/// `invalid` where it is none of them.
pub(super) fn suffix(tag: &str) -> Result<String, Error> {
    let wrong = || {
        let message = format!(
            "image_tag: `{}` is no tag; give one such as `0.2.0`, a digest `sha256:…` of 64 digits, or both as `TAG@sha256:…`; \
             the repository stays what it is",
            tag.escape_debug()
        );
        Err(Error::invalid(message))
    };
    let (tag_part, digest) = match tag.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest)),
        None if tag.starts_with(DIGEST) => ("", Some(tag)),
        None => (tag, None),
    };
    let is_digest = |digest: &str| {
        digest.strip_prefix(DIGEST).is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        })
    };
    match (tag_part, digest) {
        ("", Some(digest)) if is_digest(digest) => Ok(format!("@{digest}")),
        (tag, None) if is_tag(tag) => Ok(format!(":{tag}")),
        (tag, Some(digest)) if is_tag(tag) && is_digest(digest) => Ok(format!(":{tag}@{digest}")),
        _ => wrong(),
    }
}

fn is_tag(tag: &str) -> bool {
    let mut bytes = tag.bytes();
    tag.len() <= TAG_MAX_BYTES
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// The repository of a reference, with its registry: `registry:5000/claiflow/agent` of `registry:5000/claiflow/agent:1@sha256:…`.
pub(super) fn repository(image: &str) -> &str {
    let without_digest = image.split_once('@').map_or(image, |(name, _)| name);
    let path = without_digest.rfind('/').map_or(0, |slash| slash + 1);
    match without_digest.get(path..).and_then(|last| last.find(':')) {
        Some(colon) => without_digest.get(..path + colon).unwrap_or(without_digest),
        None => without_digest,
    }
}

#[cfg(test)]
mod tests {
    use super::{repository, suffix};

    #[test]
    fn the_repository_stays_and_only_tag_and_digest_go() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (image, expected) in [
            ("claiflow-agent", "claiflow-agent"),
            ("claiflow-agent:latest", "claiflow-agent"),
            ("example.com/claiflow/agent:0.1.0", "example.com/claiflow/agent"),
            ("registry:5000/agent", "registry:5000/agent"),
            ("registry:5000/a/agent:1", "registry:5000/a/agent"),
            (&format!("registry:5000/agent:1@{digest}"), "registry:5000/agent"),
            (&format!("agent@{digest}"), "agent"),
        ] {
            assert_eq!(repository(image), expected, "{image}");
        }
    }

    #[test]
    fn what_is_no_tag_is_refused_and_never_becomes_another_repository() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(suffix("0.2.0").unwrap(), ":0.2.0");
        assert_eq!(suffix(&digest).unwrap(), format!("@{digest}"));
        assert_eq!(suffix(&format!("v1@{digest}")).unwrap(), format!(":v1@{digest}"));
        let long = "a".repeat(129);
        for wrong in
            ["", "-x", ".x", "a b", "a/b", "a:b", "evil.example.com/agent:1", "@", "v1@sha256:ab", "sha256:ab", &long]
        {
            assert_eq!(suffix(wrong).unwrap_err().code(), "invalid", "{wrong}");
        }
    }
}
