//! What stands in the brackets of `#[command(…)]`.

use proc_macro2::Span;
use syn::{
    Error, Ident, LitStr, Path, Result, Token,
    parse::{Parse, ParseStream},
};

use crate::{
    effect::Effect,
    text::{name_fault, pattern_fault},
};

/// Checked, but for what depends on the function.
pub(crate) struct Arguments {
    /// The name, or the pattern's text.
    pub(crate) name: String,
    pub(crate) is_pattern: bool,
    pub(crate) summary: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) verify: Option<Path>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut name, mut pattern, mut summary, mut effect, mut verify) = (None, None, None, None, None);
        while !input.is_empty() {
            if input.peek(LitStr) {
                set(&mut name, input.span(), "the name", input.parse::<LitStr>()?)?;
            } else {
                let key: Ident = input.parse()?;
                input.parse::<Token![=]>()?;
                match key.to_string().as_str() {
                    "pattern" => set(&mut pattern, key.span(), "`pattern`", input.parse::<LitStr>()?)?,
                    "summary" => set(&mut summary, key.span(), "`summary`", input.parse::<LitStr>()?)?,
                    "effect" => set(&mut effect, key.span(), "`effect`", input.parse::<Effect>()?)?,
                    "verify" => set(&mut verify, key.span(), "`verify`", input.parse::<Path>()?)?,
                    other => {
                        let message = format!(
                            "there is no `{other}` here; a command has a name or `pattern`, and `effect`, `summary`, `verify`"
                        );
                        return Err(Error::new(key.span(), message));
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let (said, is_pattern, fault) = match (name, pattern) {
            (Some(name), None) => (name, false, name_fault as fn(&str) -> _),
            (None, Some(pattern)) => (pattern, true, pattern_fault as fn(&str) -> _),
            _ => return Err(Error::new(Span::call_site(), "give a name or a pattern: `#[command(\"greet\", …)]`")),
        };
        if let Some(fault) = fault(&said.value()) {
            return Err(Error::new(said.span(), fault));
        }
        let effect = effect.unwrap_or_else(|| Effect::never(said.span()));
        match (&verify, effect.verifies) {
            (None, true) => {
                let message = "the effect \"verify\" needs `verify = FUNCTION`, which tells whether a call took effect";
                return Err(Error::new(effect.span, message));
            }
            (Some(_), false) => {
                return Err(Error::new(effect.span, "`verify` is only asked for the effect \"verify\""));
            }
            _ => {}
        }
        let summary = summary.map(|summary| summary.value());
        Ok(Self { name: said.value(), is_pattern, summary, effect, verify })
    }
}

fn set<T>(place: &mut Option<T>, span: Span, what: &str, value: T) -> Result<()> {
    if place.replace(value).is_some() {
        return Err(Error::new(span, format!("{what} is given twice")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use syn::parse_str;

    #[test]
    fn a_command_is_never_run_twice_unless_it_says_so() {
        let said: Arguments = parse_str(r#""greet""#).unwrap();
        assert_eq!((said.name.as_str(), said.is_pattern, said.effect.json.as_str()), ("greet", false, "\"never\""));
        let said: Arguments = parse_str(r#"pattern = "a.{x}", effect = "read", summary = "S""#).unwrap();
        assert_eq!((said.is_pattern, said.summary.as_deref()), (true, Some("S")));
    }

    #[test]
    fn a_mistake_says_what_would_be_right() {
        for (said, part) in [
            ("", "give a name or a pattern"),
            (r#"effect = "read""#, "give a name or a pattern"),
            (r#""a", "b""#, "given twice"),
            (r#""a b""#, "ASCII letters"),
            (r#"pattern = "a""#, "at least one place"),
            (r#""a", effects = "read""#, "there is no `effects`"),
            (r#""a", effect = "verify""#, "needs `verify = FUNCTION`"),
            (r#""a", effect = "read", verify = b"#, "only asked"),
        ] {
            let error = parse_str::<Arguments>(said).err().unwrap();
            assert!(error.to_string().contains(part), "{said}: {error}");
        }
    }
}
