//! What `verify` answered, in the words of the contract, as the executor's.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::executor::commands::{CallDone, Usage, Verified};

use super::{host::lines::clean, outcome::Failed};

const WHY_MAX_BYTES: usize = 1 << 10;

/// `{"verdict":"done","output":…}` | `{"verdict":"not-done"}` | `{"verdict":"unknown","why":"…"}`.
#[derive(Deserialize)]
struct Answer<'a> {
    verdict: String,
    #[serde(borrow, default, deserialize_with = "present")]
    output: Option<&'a RawValue>,
    #[serde(default)]
    why: String,
}

/// A value that is there, `null` too: an output may be nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Whoever does not answer as the contract says cannot tell.
pub(super) fn verified(made: Result<String, Failed>, usage: Usage) -> Verified {
    let text = match made {
        Ok(text) => text,
        Err(failed) => return Verified::Unknown(format!("`verify` failed: {}", failed.message)),
    };
    let answer = match serde_json::from_str::<Answer<'_>>(&text) {
        Ok(answer) => answer,
        Err(error) => {
            return Verified::Unknown(format!("`verify` gave no verdict: {}", clean(&error.to_string(), 256)));
        }
    };
    match (answer.verdict.as_str(), answer.output) {
        ("done", Some(output)) => Verified::Done(CallDone { output: output.get().to_owned(), usage }),
        ("done", None) => Verified::Unknown("`verify` says `done` without the output".to_owned()),
        ("not-done", _) => Verified::NotDone,
        ("unknown", _) if answer.why.is_empty() => Verified::Unknown("`verify` does not say why".to_owned()),
        ("unknown", _) => Verified::Unknown(clean(&answer.why, WHY_MAX_BYTES)),
        (other, _) => {
            Verified::Unknown(format!("`verify` gave the verdict `{}`, which has no meaning", clean(other, 64)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::verified;
    use crate::executor::commands::{CallDone, Usage, Verified};

    fn shown(text: &str) -> String {
        match verified(Ok(text.to_owned()), Usage::default()) {
            Verified::Done(CallDone { output, .. }) => format!("done {output}"),
            Verified::NotDone => "not done".to_owned(),
            Verified::Unknown(why) => format!("unknown: {why}"),
        }
    }

    #[test]
    fn only_a_clear_answer_counts() {
        for (text, verdict) in [
            (r#"{"verdict":"done","output":{"a": 1.50}}"#, r#"done {"a": 1.50}"#),
            (r#"{"verdict":"done","output":null}"#, "done null"),
            (r#"{"verdict":"not-done","more":1}"#, "not done"),
            (r#"{"verdict":"unknown","why":"a\nb"}"#, r"unknown: a\nb"),
        ] {
            assert_eq!(shown(text), verdict, "{text}");
        }
        for text in [
            r#"{"verdict":"done"}"#,
            r#"{"verdict":"unknown"}"#,
            r#"{"verdict":"Done","output":1}"#,
            r#"{"verdict":"not_done"}"#,
            r#"{"verdict":true}"#,
            r#"{"output":1}"#,
            r#""done""#,
            "null",
        ] {
            assert!(shown(text).starts_with("unknown: `verify` "), "{text}: {}", shown(text));
        }
    }
}
