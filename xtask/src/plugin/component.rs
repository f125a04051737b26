//! A component's bytes: made of what cargo linked, labelled, stripped, and checked against the contract.

use std::mem;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use wasm_encoder::{ComponentSection as _, ComponentSectionId, Encode as _};
use wasm_metadata::Producers;
use wasmparser::{Encoding, Parser, Payload, Validator};
use wit_component::ComponentEncoder;

/// The contract that the SDK is built against.
pub(super) const CONTRACT: &str = "1.0.0";

/// A contract that plugins can be built for: as many of its numbers as somebody likes to write.
///
/// # Errors
/// Which there are.
pub(super) fn contract(text: &str) -> Result<String, String> {
    let known = CONTRACT == text || CONTRACT.strip_prefix(text).is_some_and(|rest| rest.starts_with('.'));
    known.then(|| CONTRACT.to_owned()).ok_or_else(|| format!("plugins can be built for {CONTRACT}"))
}

/// Whether an agent of that contract has what is imported.
///
/// # Errors
/// The import that came later.
pub(super) fn fits(imports: &[String], contract: &str) -> Result<()> {
    let numbers = |version: &str| version.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect::<Vec<_>>();
    let later = |import: &&String| {
        let version = import.strip_prefix("claiflow:plugin/").and_then(|rest| rest.split_once('@'));
        version.is_some_and(|(_, version)| numbers(version) > numbers(contract))
    };
    match imports.iter().find(later) {
        None => Ok(()),
        Some(import) => bail!("it imports `{import}`, and an agent of contract {contract} has no such interface"),
    }
}

/// Where the SDK leaves what it knows when it is compiled.
const SECTION: &str = "claiflow:plugin";

/// Interfaces of `claiflow:plugin` that a plugin may import.
const INTERFACES: [&str; 13] = [
    "agent",
    "agent-control",
    "credentials",
    "credentials-admin",
    "credentials-reveal",
    "kubernetes",
    "kubernetes-exec",
    "kubernetes-types",
    "kubernetes-write",
    "log",
    "process",
    "task",
    "types",
];
/// Packages of WASI 0.2 that every agent links, all but `wasi:http` without a grant.
const WASI: [&str; 7] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:random", "wasi:sockets"];

/// A component.
pub(super) struct Component(Vec<u8>);

/// What the SDK wrote into the custom section.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) version: String,
    /// Names, or texts of patterns, each with its effect for people.
    pub(super) commands: Vec<(String, String)>,
}

impl Component {
    /// A component as it is, or one made of a core module.
    pub(super) fn of(linked: &[u8]) -> Result<Self> {
        match Parser::new(0).parse_all(linked).next() {
            Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => Ok(Self(linked.to_vec())),
            _ => {
                let encoded = ComponentEncoder::default().module(linked)?.validate(true).encode();
                Ok(Self(encoded.context("does the crate call `claiflow_sdk::plugin!`?")?))
            }
        }
    }

    /// The same with what tools read of it without running it: the section that the Rust SDK writes by itself, of what
    /// `describe` answers.
    pub(super) fn describing(&self, description: &Value) -> Result<Self> {
        let mut short = description.clone();
        short.as_object_mut().context("`describe` answers no object")?.remove("config");
        for command in short.get_mut("commands").and_then(Value::as_array_mut).into_iter().flatten() {
            let command = command.as_object_mut().context("a command is no object")?;
            command.retain(|key, _| matches!(key.as_str(), "name" | "pattern" | "summary" | "effect"));
        }
        let data = serde_json::to_vec(&short)?;
        let section = wasm_encoder::CustomSection { name: SECTION.into(), data: data.into() };
        let mut bytes = self.0.clone();
        section.append_to_component(&mut bytes);
        Ok(Self(bytes))
    }

    /// The same, saying what made it.
    pub(super) fn made_by(&self, toolchain: &str) -> Result<Self> {
        let mut producers = Producers::empty();
        producers.add("processed-by", "claiflow build-plugin", toolchain);
        producers.add("sdk", SECTION, CONTRACT);
        Ok(Self(producers.add_to_wasm(&self.0)?))
    }

    /// The same without names of functions and line tables, in all modules.
    pub(super) fn stripped(&self) -> Result<Self> {
        let mut outer = Vec::new();
        let mut output = Vec::new();
        for payload in Parser::new(0).parse_all(&self.0) {
            let payload = payload?;
            match &payload {
                Payload::Version { encoding: Encoding::Component, .. } => {
                    output.extend_from_slice(&wasm_encoder::Component::HEADER);
                }
                Payload::Version { encoding: Encoding::Module, .. } => {
                    output.extend_from_slice(&wasm_encoder::Module::HEADER);
                }
                Payload::ModuleSection { .. } => outer.push((ComponentSectionId::CoreModule, mem::take(&mut output))),
                Payload::ComponentSection { .. } => {
                    outer.push((ComponentSectionId::Component, mem::take(&mut output)));
                }
                Payload::End(_) => {
                    if let Some((id, mut parent)) = outer.pop() {
                        parent.push(id.into());
                        output.encode(&mut parent);
                        output = parent;
                    }
                }
                Payload::CustomSection(section) if is_for_debuggers(section.name()) => {}
                section => {
                    if let Some((id, range)) = section.as_section() {
                        let bytes = usize::try_from(range.start)?..usize::try_from(range.end)?;
                        output.push(id);
                        self.0.get(bytes).context("a section ends behind the file")?.encode(&mut output);
                    }
                }
            }
        }
        Ok(Self(output))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether an agent could load it; answers its imports.
    ///
    /// # Errors
    /// What is wrong with it, and what to do.
    pub(super) fn check(&self) -> Result<Vec<String>> {
        Validator::new().validate_all(&self.0).context("it is not valid; this is a fault of its toolchain")?;
        let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_usize);
        for payload in Parser::new(0).parse_all(&self.0) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        exports.push(export?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        if !exports.iter().any(|export| export.starts_with("claiflow:plugin/handler@1.")) {
            bail!("it does not export `claiflow:plugin/handler`: list its commands in `claiflow_sdk::plugin!`");
        }
        if let Some(strange) = imports.iter().find(|import| !is_of_contract(import)) {
            bail!("it imports `{strange}`, which no agent has; the contract is in `wit/`");
        }
        imports.sort();
        Ok(imports)
    }

    /// What the SDK wrote, or none where the crate does without it.
    pub(super) fn description(&self) -> Result<Option<Description>> {
        for payload in Parser::new(0).parse_all(&self.0) {
            if let Payload::CustomSection(section) = payload?
                && section.name() == SECTION
            {
                return Description::parse(section.data()).map(Some);
            }
        }
        Ok(None)
    }
}

impl Description {
    fn parse(text: &[u8]) -> Result<Self> {
        let said: Value = serde_json::from_slice(text).context("it is no JSON")?;
        let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let commands = said.get("commands").and_then(Value::as_array).context("it has no `commands`")?;
        let commands = commands.iter().map(|command| {
            let name = word(command, "name").or_else(|| word(command, "pattern")).context("a command has no name")?;
            let effect = match command.get("effect") {
                Some(Value::String(class)) => class.clone(),
                Some(_) => "by its inputs".to_owned(),
                None => "never".to_owned(),
            };
            Ok((name, effect))
        });
        Ok(Self {
            commands: commands.collect::<Result<_>>()?,
            name: word(&said, "name").context("it has no `name`")?,
            version: word(&said, "version").unwrap_or_default(),
        })
    }

    /// # Errors
    /// Two names for one plugin, or one name for two commands.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        if self.name != name {
            bail!(
                "the plugin has two names: Cargo.toml has `[package.metadata.claiflow] name = \"{name}\"`, and `plugin!` \
                 has `name: \"{}\"`; make them equal",
                self.name
            );
        }
        for (index, (command, _)) in self.commands.iter().enumerate() {
            if self.commands.iter().take(index).any(|(earlier, _)| earlier == command) {
                bail!("{name} names the command `{command}` twice; give one of the functions another name");
            }
        }
        Ok(())
    }
}

fn is_for_debuggers(section: &str) -> bool {
    matches!(section, "name" | "component-name") || section.starts_with(".debug_")
}

fn is_of_contract(import: &str) -> bool {
    let (path, version) = import.split_once('@').unwrap_or((import, ""));
    let (package, interface) = path.split_once('/').unwrap_or((path, ""));
    match package {
        "claiflow:plugin" => INTERFACES.contains(&interface) && version.starts_with("1."),
        package => WASI.contains(&package) && version.starts_with("0.2."),
    }
}

#[cfg(test)]
mod tests {
    use super::{Component, Description, INTERFACES, is_of_contract};
    use crate::root;
    use serde_json::json;

    #[test]
    fn the_interfaces_are_those_of_the_contract() {
        let mut interfaces = Vec::new();
        for file in std::fs::read_dir(root().join("wit")).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.lines().filter_map(|line| line.strip_prefix("interface ")?.strip_suffix(" {"));
                interfaces.extend(names.filter(|name| *name != "handler").map(str::to_owned));
            }
        }
        interfaces.sort();
        assert_eq!(interfaces, INTERFACES);
    }

    #[test]
    fn only_imports_of_the_contract_pass() {
        for import in ["claiflow:plugin/log@1.0.0", "claiflow:plugin/task@1.2.0", "wasi:io/streams@0.2.6"] {
            assert!(is_of_contract(import), "{import}");
        }
        for import in ["claiflow:plugin/handler@1.0.0", "claiflow:plugin/log@2.0.0", "wasi:io/streams@0.3.0", "a:b/c"] {
            assert!(!is_of_contract(import), "{import}");
        }
    }

    #[test]
    fn a_component_that_cannot_say_it_itself_is_given_its_description() {
        let empty = Component(wasm_encoder::Component::HEADER.to_vec());
        assert_eq!(empty.description().unwrap(), None);
        let description = json!({"name": "tool", "version": "1.2.0", "config": {"type": "object"}, "commands": [
            {"name": "a", "effect": "read", "inputs": {"type": "object"}, "outputs": true}, {"pattern": "b.{x}"},
        ]});
        let described = empty.describing(&description).unwrap();
        let commands = vec![("a".to_owned(), "read".to_owned()), ("b.{x}".to_owned(), "never".to_owned())];
        let expected = Description { name: "tool".into(), version: "1.2.0".into(), commands };
        assert_eq!(described.stripped().unwrap().description().unwrap(), Some(expected));
        assert!(!String::from_utf8_lossy(described.bytes()).contains("object"), "schemas are told by `describe` alone");
        assert!(empty.describing(&json!([])).is_err());
    }

    #[test]
    fn a_description_is_read_and_checked() {
        let text = br#"{"name":"tool","version":"1.2.0","commands":[{"name":"a","effect":"read"},
            {"pattern":"b.{x}","effect":[{"when":".y","effect":"read"},{"effect":"never"}]},{"name":"c"}]}"#;
        let description = Description::parse(text).unwrap();
        let effects: Vec<_> = description.commands.iter().map(|(_, effect)| effect.as_str()).collect();
        assert_eq!(effects, ["read", "by its inputs", "never"]);
        assert!(description.check("tool").is_ok());
        assert!(description.check("other").is_err_and(|error| error.to_string().contains("two names")));
        let twice = Description { commands: vec![("a".into(), "read".into()); 2], ..description };
        assert!(twice.check("tool").is_err_and(|error| error.to_string().contains("`a` twice")));
        assert!(Description::parse(b"[]").is_err());
    }
}
