//! What a component asks for and offers, read from its bytes before anything is compiled.

use wasmparser::{CustomSectionReader, Encoding, KnownCustom, Parser, Payload};

use crate::grants::{Grant, SYSTEM_PLUGIN, System};

use super::{
    host::lines::clean,
    signature::{Gathering, Signatures},
};

const NAMES_MAX: usize = 1_000;
const NAME_MAX_BYTES: usize = 256;
const PRODUCER_MAX_BYTES: usize = 200;

/// Packages of WASI that are linked over nothing, for every plugin.
const WASI_ALWAYS: [&str; 6] = ["wasi:io", "wasi:clocks", "wasi:random", "wasi:cli", "wasi:filesystem", "wasi:sockets"];
/// Interfaces of the contract that need no grant; the types of `kubernetes` hold no function.
const CONTRACT_ALWAYS: [&str; 4] = ["types", "task", "log", "kubernetes-types"];
/// Package and interface of what is linked where it is granted.
const SERVED: [(&str, &str); 10] = [
    ("claiflow:plugin", "kubernetes"),
    ("claiflow:plugin", "kubernetes-write"),
    ("claiflow:plugin", "kubernetes-exec"),
    ("claiflow:plugin", "credentials"),
    ("claiflow:plugin", "credentials-reveal"),
    ("claiflow:plugin", "credentials-admin"),
    ("claiflow:plugin", "agent"),
    ("claiflow:plugin", "agent-control"),
    ("wasi:http", "types"),
    ("wasi:http", "outgoing-handler"),
];

/// The version of the contract that this agent has.
pub(super) const CONTRACT: &str = "1.0.0";

/// The contract's interfaces that this agent has, granted or not.
pub(super) fn interfaces() -> impl Iterator<Item = &'static str> {
    let served = SERVED.into_iter().filter(|(package, _)| *package == "claiflow:plugin");
    CONTRACT_ALWAYS.into_iter().chain(served.map(|(_, interface)| interface))
}

/// What a component shows before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Surface {
    imports: Vec<String>,
    built_by: String,
    /// The version of the contract whose `handler` it exports.
    contract: String,
    signatures: Signatures,
}

impl Surface {
    /// Reads the whole file, so that one that is cut off anywhere is refused here.
    ///
    /// # Errors
    /// What the file is instead of a plugin.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("the file is empty".into());
        }
        let (mut imports, mut exports, mut depth, mut built_by) = (Vec::new(), Vec::new(), 0_usize, String::new());
        let mut signatures = Gathering::default();
        for payload in Parser::new(0).parse_all(bytes) {
            let broken =
                |error: wasmparser::BinaryReaderError| format!("the file is truncated or no component: {error}");
            let payload = payload.map_err(broken)?;
            signatures.see(bytes, &payload, depth);
            match payload {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(
                        "the file is a core module, not a component; `cargo xtask build-plugin` makes one".into()
                    );
                }
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        take(&mut imports, import.map_err(broken)?.name.name)?;
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        take(&mut exports, export.map_err(broken)?.name.name)?;
                    }
                }
                Payload::CustomSection(section) if depth == 1 => built_by.push_str(&producer(&section)),
                _ => {}
            }
        }
        let handler = |name: &String| {
            let name = Interface::of(name);
            name.package == "claiflow:plugin" && name.interface == "handler" && name.version.starts_with("1.")
        };
        if let Some(handler) = exports.iter().find(|name| handler(name)) {
            let contract = Interface::of(handler).version.to_owned();
            let (built_by, signatures) = (clean(&built_by, PRODUCER_MAX_BYTES), signatures.finish(bytes)?);
            return Ok(Self { imports, built_by, contract, signatures });
        }
        let offered = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
        Err(format!(
            "it is of another world: it exports {offered}, and a plugin exports `claiflow:plugin/handler@1.0.0`"
        ))
    }

    /// Whether each import is always linked or granted *and* linked.
    ///
    /// # Errors
    /// Which import is not, and what would allow it.
    pub(super) fn check(&self, plugin: &str, grant: Option<&Grant>) -> Result<(), String> {
        let wrong = self.admissions(grant).find_map(|(import, admission)| {
            Some(match admission {
                Admission::Always | Admission::Granted => return None,
                Admission::Old => format!("it imports `{import}`; this agent links WASI 0.2"),
                Admission::Unknown => format!("it imports `{import}`, which no agent gives to a plugin"),
                Admission::Unserved => format!(
                    "it imports `{import}`; the grants file allows it, but this agent does not serve that interface"
                ),
                Admission::Missing(need) if need.key == "system" && plugin != SYSTEM_PLUGIN => {
                    format!("it imports `{import}`, which is given to the plugin `{SYSTEM_PLUGIN}` alone")
                }
                Admission::Missing(need) => format!(
                    "it imports `{import}`, which nobody granted; `plugins: {{{plugin}: {{{}}}}}` in the grants file \
                     would, with the file's `sha256`",
                    need.text()
                ),
            })
        });
        wrong.map_or(Ok(()), Err)
    }

    /// Every import and where it stands.
    pub(super) fn admissions(&self, grant: Option<&Grant>) -> impl Iterator<Item = (&str, Admission)> {
        self.imports.iter().map(move |import| (import.as_str(), admission(&Interface::of(import), grant)))
    }

    /// The imports that nobody granted.
    pub(super) fn missing(&self, grant: Option<&Grant>) -> Vec<String> {
        let missing = self.admissions(grant).filter(|(_, admission)| matches!(admission, Admission::Missing(_)));
        missing.map(|(import, _)| import.to_owned()).collect()
    }

    /// The tool that says that it made the file, and with what; empty when none does. Nobody vouches for it but a signature.
    pub(super) fn built_by(&self) -> &str {
        &self.built_by
    }

    /// Who says that they signed it.
    pub(super) fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// The version of the contract that it is made for.
    pub(super) fn contract(&self) -> &str {
        &self.contract
    }

    /// Every import, whether this agent has it, and what would grant it.
    pub(super) fn needs(&self) -> impl Iterator<Item = (&str, bool, Option<Need>)> {
        self.admissions(None).map(|(import, admission)| {
            let name = Interface::of(import);
            match admission {
                Admission::Missing(need) => (import, SERVED.contains(&(name.package, name.interface)), Some(need)),
                admission => (import, admission == Admission::Always, None),
            }
        })
    }

    /// Sorted names, for people.
    pub(super) fn imports(&self) -> &[String] {
        &self.imports
    }
}

/// `package/interface@version`.
struct Interface<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Interface<'a> {
    fn of(name: &'a str) -> Self {
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = path.split_once('/').unwrap_or((path, ""));
        Self { package, interface, version }
    }
}

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Linked for every plugin.
    Always,
    /// Granted and linked.
    Granted,
    /// Granted, but this agent does not have it.
    Unserved,
    /// Nobody granted it.
    Missing(Need),
    /// Of another version of WASI.
    Old,
    /// No agent has it.
    Unknown,
}

/// What in the grants file would grant an import: a key, and an element of its list or map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) key: &'static str,
    pub(super) element: &'static str,
}

impl Need {
    /// Key and value, in one line of YAML.
    pub(super) fn text(&self) -> String {
        let Self { key, element } = self;
        if *key == "credentials" { format!("{key}: {{{element}}}") } else { format!("{key}: [{element}]") }
    }
}

fn admission(name: &Interface<'_>, grant: Option<&Grant>) -> Admission {
    let always = match name.package {
        "claiflow:plugin" => CONTRACT_ALWAYS.contains(&name.interface) && name.version.starts_with("1."),
        package => WASI_ALWAYS.contains(&package) && name.version.starts_with("0.2"),
    };
    if always {
        return Admission::Always;
    }
    let is_wasi = WASI_ALWAYS.contains(&name.package) || name.package == "wasi:http";
    if is_wasi && !name.version.starts_with("0.2") {
        return Admission::Old;
    }
    let Some((need, granted)) = need_of(name, grant) else { return Admission::Unknown };
    match (granted, SERVED.contains(&(name.package, name.interface))) {
        (false, _) => Admission::Missing(need),
        (true, false) => Admission::Unserved,
        (true, true) => Admission::Granted,
    }
}

/// The part of a grant that an interface needs, and whether it is there.
fn need_of(name: &Interface<'_>, grant: Option<&Grant>) -> Option<(Need, bool)> {
    // The agent's own plugin is one file for several parts: who grants one of them need not grant the others, and what is not
    // granted is refused when it is called.
    let is_system = grant.is_some_and(|grant| !grant.system.is_empty());
    let has = |check: fn(&Grant) -> bool| grant.is_some_and(check);
    let kubernetes =
        |element| (Need { key: "kubernetes", element }, is_system || has(|grant| !grant.kubernetes.is_empty()));
    let credentials = |element, granted| (Need { key: "credentials", element }, granted);
    Some(match (name.package, name.interface) {
        ("claiflow:plugin", "kubernetes") => {
            kubernetes("{groups: [\"\"], resources: [pods], verbs: [get, list], namespaces: [NAMESPACE]}")
        }
        ("claiflow:plugin", "kubernetes-write") => kubernetes(
            "{groups: [apps], resources: [deployments], verbs: [patch], namespaces: [NAMESPACE], write: [FIELD]}",
        ),
        ("claiflow:plugin", "kubernetes-exec") => kubernetes(
            "{groups: [\"\"], resources: [pods/exec], verbs: [create], namespaces: [NAMESPACE], dangerous: true}",
        ),
        ("claiflow:plugin", "credentials") => {
            credentials("NAME: {hosts: [URL], methods: [GET]}", has(|grant| !grant.credentials.is_empty()))
        }
        ("claiflow:plugin", "credentials-reveal") => credentials(
            "NAME: {reveal: true}",
            has(|grant| grant.credentials.iter().any(|(_, credential)| credential.reveal)),
        ),
        ("claiflow:plugin", "process") => {
            (Need { key: "process", element: "PROFILE" }, has(|grant| !grant.process.is_empty()))
        }
        ("claiflow:plugin", "credentials-admin") => {
            (Need { key: "system", element: System::Credentials.as_str() }, is_system)
        }
        ("claiflow:plugin", "agent" | "agent-control") => {
            (Need { key: "system", element: System::Agent.as_str() }, is_system)
        }
        ("wasi:http", _) => (
            Need { key: "http", element: "{url: URL, methods: [GET], paths: [\"/*\"]}" },
            has(|grant| !grant.http.is_empty()),
        ),
        _ => return None,
    })
}

/// What the component's own `producers` section says of `build-plugin`; empty for other sections and other tools.
fn producer(section: &CustomSectionReader<'_>) -> String {
    let KnownCustom::Producers(fields) = section.as_known() else { return String::new() };
    // A section that is not well made is no reason to refuse a plugin: nothing depends on it.
    let fields = fields.into_iter().filter_map(Result::ok).filter(|field| field.name == "processed-by");
    let values = fields.flat_map(|field| field.values.into_iter().filter_map(Result::ok).collect::<Vec<_>>());
    let ours = values.filter(|value| value.name == "claiflow build-plugin");
    ours.map(|value| format!("{} {}", value.name, value.version)).next().unwrap_or_default()
}

fn take(names: &mut Vec<String>, name: &str) -> Result<(), String> {
    if names.len() >= NAMES_MAX {
        return Err(format!("it has more than {NAMES_MAX} imports or exports"));
    }
    if name.len() > NAME_MAX_BYTES {
        return Err(format!("an import or export has a name of {} bytes; at most {NAME_MAX_BYTES}", name.len()));
    }
    names.push(name.to_owned());
    names.sort();
    Ok(())
}
