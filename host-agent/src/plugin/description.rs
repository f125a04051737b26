//! What `describe` said, checked before anything of it is believed.

use std::{collections::BTreeSet, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::executor::commands::{Declared, Effect, EffectRule};

use super::{host::lines::clean, json, pattern::Pattern, schema::InputSchema};

pub(super) const DESCRIPTION_MAX_BYTES: usize = 256 << 10;
const COMMANDS_MAX: usize = 512;
const NAME_MAX_BYTES: usize = 128;
const SUMMARY_MAX_BYTES: usize = 512;
const RULES_MAX: usize = 32;
const RULE_MAX_BYTES: usize = 4 << 10;

/// A plugin's own words, typed.
pub(super) struct Description {
    pub(super) version: String,
    pub(super) commands: Vec<Command>,
    pub(super) config: Option<InputSchema>,
}

/// One command as its plugin declares it.
pub(super) struct Command {
    /// The name, or the pattern's text.
    pub(super) name: String,
    pub(super) pattern: Option<Pattern>,
    pub(super) summary: String,
    pub(super) inputs_schema: String,
    pub(super) outputs_schema: String,
    pub(super) inputs: Option<InputSchema>,
    /// As declared, for people and the server.
    pub(super) effect_text: String,
    /// As declared, for each call.
    pub(super) effect: Declared,
}

#[derive(Deserialize)]
struct Said {
    name: String,
    #[serde(default)]
    version: String,
    commands: Vec<SaidCommand>,
    config: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct SaidCommand {
    name: Option<String>,
    pattern: Option<String>,
    #[serde(default)]
    summary: String,
    inputs: Option<Box<RawValue>>,
    outputs: Option<Box<RawValue>>,
    effect: Option<Box<RawValue>>,
}

/// A misspelt `when` would make a rule match everything: it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidRule {
    when: Option<String>,
    effect: Effect,
}

impl Description {
    /// # Errors
    /// What is wrong, and in which command.
    pub(super) fn parse(text: &str, stem: &str) -> Result<Self, String> {
        if text.len() > DESCRIPTION_MAX_BYTES {
            return Err(format!("`describe` gave {} bytes; at most {DESCRIPTION_MAX_BYTES} are read", text.len()));
        }
        let nonsense = |error: serde_json::Error| format!("what `describe` gave is no description: {error}");
        json::check(text).map_err(nonsense)?;
        let said: Said = serde_json::from_str(text).map_err(nonsense)?;
        if said.name != stem {
            return Err(format!(
                "`describe` calls the plugin `{}`, and the file is `{stem}.wasm`; both must be equal",
                clean(&said.name, NAME_MAX_BYTES)
            ));
        }
        if said.commands.len() > COMMANDS_MAX {
            return Err(format!(
                "`describe` names {} commands; at most {COMMANDS_MAX} are served",
                said.commands.len()
            ));
        }
        let mut seen = BTreeSet::new();
        let mut commands = Vec::with_capacity(said.commands.len());
        for command in said.commands {
            let command = Command::check(command)?;
            if !seen.insert(command.name.clone()) {
                return Err(format!("`describe` names the command `{}` twice", command.name));
            }
            commands.push(command);
        }
        let config = said.config.map(|schema| InputSchema::compile(schema.get())).transpose();
        Ok(Self {
            version: clean(&said.version, 64),
            commands,
            config: config.map_err(|message| format!("the schema of `config` is refused: {message}"))?,
        })
    }
}

impl Command {
    fn check(said: SaidCommand) -> Result<Self, String> {
        let (name, pattern) = match (said.name, said.pattern) {
            (Some(name), None) if is_command_name(&name) => (name, None),
            (Some(name), None) => {
                return Err(format!(
                    "`{}` is no command name: words of letters, digits, `_` and `-` with `.` or `/` between them, at most \
                     {NAME_MAX_BYTES} bytes",
                    clean(&name, NAME_MAX_BYTES)
                ));
            }
            (None, Some(text)) if text.len() <= NAME_MAX_BYTES => {
                let pattern = Pattern::parse(&text);
                let pattern = pattern.map_err(|message| {
                    format!("`{}` is no command pattern: {message}", clean(&text, NAME_MAX_BYTES))
                })?;
                (text, Some(pattern))
            }
            (None, Some(text)) => return Err(format!("a pattern has {} bytes; at most {NAME_MAX_BYTES}", text.len())),
            _ => return Err("each command has either `name` or `pattern`".into()),
        };
        let refused = |what: &str, message: String| format!("command `{name}`: {what}: {message}");
        let text = |schema: &Option<Box<RawValue>>| schema.as_ref().map_or("", |schema| schema.get()).to_owned();
        let (inputs_schema, outputs_schema) = (text(&said.inputs), text(&said.outputs));
        let compile = |what: &str, text: &str| -> Result<Option<InputSchema>, String> {
            if text.is_empty() {
                return Ok(None);
            }
            InputSchema::compile(text).map(Some).map_err(|message| refused(what, message))
        };
        let inputs = compile("the schema of `inputs` is refused", &inputs_schema)?;
        compile("the schema of `outputs` is refused", &outputs_schema)?;
        let (effect_text, effect) =
            effect(said.effect.as_deref()).map_err(|message| refused("`effect` is refused", message))?;
        Ok(Self {
            pattern,
            summary: clean(&said.summary, SUMMARY_MAX_BYTES),
            inputs_schema,
            outputs_schema,
            inputs,
            effect_text,
            effect,
            name,
        })
    }
}

/// A class, or ordered rules over the inputs; `never` where nothing is said.
fn effect(said: Option<&RawValue>) -> Result<(String, Declared), String> {
    let Some(said) = said else { return Ok(("never".to_owned(), Declared::Class(Effect::Never))) };
    if said.get().starts_with('[') {
        let rules: Vec<SaidRule> = serde_json::from_str(said.get()).map_err(|error| error.to_string())?;
        if rules.len() > RULES_MAX {
            return Err(format!("there are {} rules; at most {RULES_MAX} are read", rules.len()));
        }
        if rules.iter().flat_map(|rule| &rule.when).any(|when| when.len() > RULE_MAX_BYTES) {
            return Err(format!("a `when` has at most {RULE_MAX_BYTES} bytes"));
        }
        let rules: Arc<[_]> = rules.into_iter().map(|SaidRule { when, effect }| EffectRule { when, effect }).collect();
        return Ok((said.get().to_owned(), Declared::Rules(rules)));
    }
    let effect: Effect = serde_json::from_str(said.get())
        .map_err(|_| "it is one of read, idempotent, verify, never, or a list of rules".to_owned())?;
    let text: String = serde_json::from_str(said.get()).map_err(|error| error.to_string())?;
    Ok((text, Declared::Class(effect)))
}

/// Words with dots between them, or slashes, as the API that they name has them: `prometheus.targets/metadata.v1`.
fn is_command_name(name: &str) -> bool {
    name.len() <= NAME_MAX_BYTES && name.split('/').all(is_name)
}

/// A name of a plugin, and what a command's is made of.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::Description;
    use crate::executor::commands::{Declared, Effect, EffectRule};

    fn parse(commands: &str) -> Result<Description, String> {
        Description::parse(&format!(r#"{{"name":"tool","version":"1.2.0","commands":{commands}}}"#), "tool")
    }

    #[test]
    fn a_description_is_read() {
        let said = parse(
            r#"[{"name":"restart.run","summary":"Restarts","inputs":{"type":"object"},"effect":"idempotent","examples":[]},
                {"pattern":"kubernetes.{verb}","effect":[{"when":".x","effect":"read"}]},{"name":"silent"},
                {"name":"ruled","effect":[{"when":".x","effect":"read"},{"effect":"verify"}]}]"#,
        )
        .unwrap();
        let effects: Vec<_> = said.commands.iter().map(|command| command.effect.clone()).collect();
        let read = EffectRule { when: Some(".x".into()), effect: Effect::Read };
        let rules = |rules: &[EffectRule]| Declared::Rules(rules.into());
        assert_eq!(
            effects,
            [
                Declared::Class(Effect::Idempotent),
                rules(std::slice::from_ref(&read)),
                Declared::Class(Effect::Never),
                rules(&[read, EffectRule { when: None, effect: Effect::Verify }]),
            ]
        );
        assert_eq!(said.commands[0].inputs_schema, r#"{"type":"object"}"#);
        assert_eq!(said.commands[0].effect_text, "idempotent");
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        for (commands, part) in [
            ("{}", "no description"),
            (r#"[{"summary":"x"}]"#, "either `name` or `pattern`"),
            (r#"[{"name":"a","pattern":"{x}"}]"#, "either `name` or `pattern`"),
            (r#"[{"name":"a b"}]"#, "no command name"),
            (r#"[{"name":"a..b"}]"#, "no command name"),
            (r#"[{"name":"a//b"}]"#, "no command name"),
            (r#"[{"name":"a./b"}]"#, "no command name"),
            (r#"[{"name":"a"},{"name":"a"}]"#, "twice"),
            (r#"[{"pattern":"a{"}]"#, "no command pattern"),
            (r#"[{"name":"a","inputs":{"$ref":"file:///x"}}]"#, "inside the document"),
            (r#"[{"name":"a","effect":"maybe"}]"#, "read, idempotent"),
            (r#"[{"name":"a","effect":[{"wehn":".x","effect":"read"}]}]"#, "wehn"),
            (r#"[{"name":"a","effect":[{"when":".x","effect":"maybe"}]}]"#, "maybe"),
            (r#"[{"name":"a","name":"b"}]"#, "twice"),
        ] {
            assert!(parse(commands).is_err_and(|message| message.contains(part)), "{commands}");
        }
        let rules = vec![r#"{"effect":"read"}"#; 33].join(",");
        assert!(parse(&format!(r#"[{{"name":"a","effect":[{rules}]}}]"#)).is_err_and(|m| m.contains("33 rules")));
        let long = format!(r#"[{{"name":"a","effect":[{{"when":"{}","effect":"read"}}]}}]"#, "x".repeat(5_000));
        assert!(parse(&long).is_err_and(|message| message.contains("at most 4096 bytes")));
        let many = format!("[{}]", (0..513).map(|i| format!(r#"{{"name":"c{i}"}}"#)).collect::<Vec<_>>().join(","));
        assert!(parse(&many).is_err_and(|message| message.contains("513 commands")));
        assert!(
            Description::parse(r#"{"name":"other","commands":[]}"#, "tool").is_err_and(|m| m.contains("`tool.wasm`"))
        );
        assert!(Description::parse(&" ".repeat(300_000), "tool").is_err_and(|m| m.contains("at most")));
    }
}
