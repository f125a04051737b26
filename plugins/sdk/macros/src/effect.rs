//! What may happen twice: one class, or rules that choose one by the inputs.

use proc_macro2::Span;
use syn::{
    Error, Ident, LitStr, Result, Token, braced, bracketed,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    token,
};

use crate::text::json;

const CLASSES: [&str; 4] = ["read", "idempotent", "verify", "never"];

/// A command's effect, as JSON text for `describe`.
pub(crate) struct Effect {
    pub(crate) json: String,
    /// Whether a call may have the class `verify`.
    pub(crate) verifies: bool,
    pub(crate) span: Span,
}

impl Effect {
    /// What the contract says of a command that names none.
    pub(crate) fn never(span: Span) -> Self {
        Self { json: json("never"), verifies: false, span }
    }
}

impl Parse for Effect {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let span = input.span();
        if !input.peek(token::Bracket) {
            let class = class(&input.parse::<LitStr>()?)?;
            return Ok(Self { json: json(&class), verifies: class == "verify", span });
        }
        let content;
        bracketed!(content in input);
        let rules = Punctuated::<Rule, Token![,]>::parse_terminated(&content)?;
        let last = rules.len().checked_sub(1);
        let Some(last) = last else { return Err(Error::new(span, "the list of rules is empty")) };
        for (index, rule) in rules.iter().enumerate() {
            if rule.when.is_none() && index < last {
                return Err(Error::new(rule.span, "a rule without `when` catches every call, so it stands last"));
            }
            if rule.when.is_some() && index == last {
                return Err(Error::new(
                    rule.span,
                    "the last rule catches every other call: add `{ effect = \"never\" }` behind it",
                ));
            }
        }
        let verifies = rules.iter().any(|rule| rule.effect == "verify");
        let rules: Vec<String> = rules.iter().map(Rule::json).collect();
        Ok(Self { json: format!("[{}]", rules.join(",")), verifies, span })
    }
}

/// `{ when = "<jq>", effect = "<class>" }`.
struct Rule {
    when: Option<String>,
    effect: String,
    span: Span,
}

impl Rule {
    fn json(&self) -> String {
        let when = self.when.as_ref().map(|when| format!("\"when\":{},", json(when))).unwrap_or_default();
        format!("{{{when}\"effect\":{}}}", json(&self.effect))
    }
}

impl Parse for Rule {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let span = input.span();
        let content;
        braced!(content in input);
        let (mut when, mut effect) = (None, None);
        while !content.is_empty() {
            let key: Ident = content.parse()?;
            content.parse::<Token![=]>()?;
            let value: LitStr = content.parse()?;
            match key.to_string().as_str() {
                "when" => when = Some(value.value()),
                "effect" => effect = Some(class(&value)?),
                _ => return Err(Error::new(key.span(), "a rule has `when` and `effect`")),
            }
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        let effect = effect.ok_or_else(|| Error::new(span, "a rule needs `effect = \"…\"`"))?;
        Ok(Self { when, effect, span })
    }
}

fn class(said: &LitStr) -> Result<String> {
    let class = said.value();
    if CLASSES.contains(&class.as_str()) {
        return Ok(class);
    }
    Err(Error::new(said.span(), format!("an effect is one of \"{}\"", CLASSES.join("\", \""))))
}

#[cfg(test)]
mod tests {
    use super::Effect;
    use syn::parse_str;

    #[test]
    fn classes_and_rules_become_the_contracts_json() {
        for (said, json, verifies) in [
            (r#""read""#, r#""read""#, false),
            (r#""verify""#, r#""verify""#, true),
            (
                r#"[{ when = ".a == \"b\"", effect = "read" }, { effect = "verify" },]"#,
                r#"[{"when":".a == \"b\"","effect":"read"},{"effect":"verify"}]"#,
                true,
            ),
        ] {
            let effect: Effect = parse_str(said).unwrap();
            assert_eq!((effect.json.as_str(), effect.verifies), (json, verifies), "{said}");
        }
    }

    #[test]
    fn a_mistake_says_what_would_be_right() {
        for (said, part) in [
            (r#""maybe""#, r#"one of "read", "idempotent", "verify", "never""#),
            ("[]", "empty"),
            (r#"[{ when = ".a", effect = "read" }]"#, "add `{ effect = \"never\" }`"),
            (r#"[{ effect = "read" }, { effect = "never" }]"#, "stands last"),
            (r#"[{ when = ".a" }]"#, "needs `effect"),
            (r#"[{ wenn = ".a" }]"#, "`when` and `effect`"),
        ] {
            let error = parse_str::<Effect>(said).err().unwrap();
            assert!(error.to_string().contains(part), "{said}: {error}");
        }
    }
}
