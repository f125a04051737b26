//! `claiflow-agent inspect FILE`: what a plugin's file asks for, what the grants file gives it, and what is missing.
//!
//! The file is only asked to describe itself, in a sandbox in which every import refuses.

mod text;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use serde::Serialize;

use crate::grants::{
    Glob, Grants,
    kubernetes::{AgentAccount, rbac},
};

use super::{
    Clock, Config,
    cache::hex,
    description::is_name,
    host::lines::clean,
    loader::{Loaded, configured},
    registry::may_serve,
    runtime::loader,
    source,
    surface::{Admission, Need, Surface},
};

const GRANTS_MAX_BYTES: u64 = 1 << 20;
const REASON_MAX_BYTES: usize = 2 << 10;
const IMPORT_MAX_BYTES: usize = 256;

/// What the shell said, parsed.
#[derive(Clone, Debug)]
pub struct InspectArgs {
    /// The component file.
    pub file: PathBuf,
    /// The grants file; none grants nothing.
    pub grants: Option<PathBuf>,
    /// Compiled code; none compiles each time.
    pub cache: Option<PathBuf>,
    /// Write the roles of the cluster in place of the report.
    pub rbac: bool,
    /// Write JSON, for programs.
    pub json: bool,
    /// The agent's namespace.
    pub namespace: String,
    /// The agent's ServiceAccount.
    pub account: String,
}

/// All of it.
#[derive(Debug, Serialize)]
struct Inspection {
    name: String,
    /// As the plugin says; none where it could not be asked.
    version: Option<String>,
    file: String,
    sha256: String,
    size_bytes: usize,
    /// `matches`, `differs` or `none`.
    pin: &'static str,
    /// Keys that signed it, by their names in the grants file.
    signed_by: Vec<String>,
    /// What made the file, as the file itself says; empty when it does not.
    built_by: String,
    imports: Vec<Import>,
    commands: Vec<Command>,
    /// Why it could not be asked for its commands, or does not load whatever is granted.
    refused: Option<String>,
    granted: Vec<String>,
    missing: Vec<Missing>,
    /// What to add to the grants file, as YAML.
    add: Option<String>,
}

#[derive(Debug, Serialize)]
struct Import {
    name: String,
    /// `always`, `granted`, `missing`, `unserved` or `unknown`.
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct Command {
    /// Name or pattern.
    name: String,
    /// A class, or rules as JSON text.
    effect: String,
    summary: String,
    granted: bool,
}

#[derive(Debug, Serialize)]
struct Missing {
    /// `import`, `command`, `pin`, `signature` or `config`.
    what: &'static str,
    /// One sentence.
    why: String,
}

/// Prints it. The exit code is 0 where nothing is missing, else 1.
pub async fn inspect(args: InspectArgs, worker: PathBuf, clock: Arc<dyn Clock>) -> ExitCode {
    let outcome = run(args, worker, clock).await.and_then(|(output, complete)| {
        write!(std::io::stdout(), "{output}").map_err(|error| format!("nothing can be written: {error}"))?;
        Ok(complete)
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "claiflow-agent inspect: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: InspectArgs, worker: PathBuf, clock: Arc<dyn Clock>) -> Result<(String, bool), String> {
    let grants = grants(args.grants.as_deref())?;
    let name = name_of(&args.file)?;
    if args.rbac {
        let agent = AgentAccount { namespace: &args.namespace, account: &args.account };
        let manifests = grants.plugins.get(&name).map(|grant| rbac(&name, grant, &agent)).unwrap_or_default();
        if manifests.is_empty() {
            return Err(format!(
                "the grants file gives `{name}` nothing over the cluster's API and no program to run, so it needs no role"
            ));
        }
        return Ok((manifests, true));
    }
    let config = Config { cache: args.cache, ..Config::new(Vec::new(), worker) };
    let mut loader = loader(&config, clock).map_err(|error| error.to_string())?;
    let path = args.file.clone();
    // It waits for the compiler and for the sandbox.
    let looked = tokio::task::spawn_blocking(move || {
        let file = source::read(&path)?;
        let surface = Surface::read(&file.bytes)?;
        let signed = surface.signatures().check(&name, &grants);
        let loaded = loader.prepare(&name, &file, surface.clone()).map_err(|error| error.reason);
        let grant = grants.plugins.get(&name);
        // A name out of a file that nobody vouches for may hold anything.
        let shown = |(name, admission)| (clean(name, IMPORT_MAX_BYTES), admission);
        let imports: Vec<_> = surface.admissions(grant).map(shown).collect();
        let mut report = report(name, &path, &file, imports, loaded.as_ref(), &grants);
        report.built_by = surface.built_by().to_owned();
        match signed {
            Ok(signed_by) => report.signed_by = signed_by,
            Err(why) => report.missing.push(Missing { what: "signature", why }),
        }
        Ok::<_, String>(report)
    });
    let inspection = looked
        .await
        .map_err(|error| error.to_string())?
        .map_err(|reason| format!("{}: {reason}", args.file.display()))?;
    let complete = inspection.missing.is_empty() && inspection.refused.is_none();
    let output = if args.json {
        serde_json::to_string_pretty(&inspection).map_err(|error| error.to_string())? + "\n"
    } else {
        text::render(&inspection)
    };
    Ok((output, complete))
}

fn grants(path: Option<&Path>) -> Result<Grants, String> {
    let Some(path) = path else { return Ok(Grants::default()) };
    let wrong = |reason: String| format!("{}: {reason}", path.display());
    let bytes = source::read_regular(path, GRANTS_MAX_BYTES).map_err(wrong)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    Grants::parse(&text).map_err(|mistakes| {
        let mistakes: Vec<_> = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
        wrong(format!("the grants file is not used:{}", mistakes.concat()))
    })
}

fn name_of(file: &Path) -> Result<String, String> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".wasm").filter(|stem| is_name(stem));
    stem.map(ToOwned::to_owned).ok_or_else(|| format!("{}: a plugin's file is called NAME.wasm", file.display()))
}

fn report(
    name: String,
    path: &Path,
    file: &source::PluginFile,
    imports: Vec<(String, Admission)>,
    loaded: Result<&Loaded, &String>,
    grants: &Grants,
) -> Inspection {
    let grant = grants.plugins.get(&name);
    let mut missing = Vec::new();
    let mut needs: Vec<Need> = Vec::new();
    for (import, admission) in &imports {
        let why = match admission {
            Admission::Always | Admission::Granted => continue,
            Admission::Missing(need) => {
                needs.extend(Some(*need).filter(|need| !needs.contains(need)));
                format!("`{import}` is not granted")
            }
            Admission::Unserved => format!("`{import}` is granted, but this agent does not serve that interface"),
            Admission::Old => format!("`{import}` is none that this agent links: it links WASI 0.2"),
            Admission::Unknown => format!("`{import}` is given to no plugin"),
        };
        missing.push(Missing { what: "import", why });
    }
    let described = loaded.ok().map(|loaded| &loaded.description);
    let commands: Vec<_> = described.into_iter().flat_map(|description| &description.commands).collect();
    let commands: Vec<_> = commands
        .into_iter()
        .map(|command| {
            let granted = may_serve(&name, command, grants);
            if let Err(why) = &granted {
                missing
                    .push(Missing { what: "command", why: format!("`{}` would not be served: {why}", command.name) });
            }
            Command {
                name: command.name.clone(),
                effect: command.effect_text.clone(),
                summary: command.summary.clone(),
                granted: granted.is_ok(),
            }
        })
        .collect();
    let sha256 = hex(&file.digest);
    let pin = match grant.and_then(|grant| grant.sha256) {
        None => "none",
        Some(pin) if pin == file.digest => "matches",
        Some(pin) => {
            let why = format!("the grants file pins {}, and this file is another", hex(&pin));
            missing.push(Missing { what: "pin", why });
            "differs"
        }
    };
    if let Ok(loaded) = loaded
        && let Err(why) = configured(loaded, grants)
    {
        missing.push(Missing { what: "config", why });
    }
    // Who names commands names all of them.
    let named = grant.and_then(|grant| grant.commands.as_deref());
    let mut wanted: Vec<&str> = named.into_iter().flatten().map(Glob::as_str).collect();
    if commands.iter().all(|command| command.granted) {
        wanted.clear();
    } else {
        let left = commands.iter().filter(|command| named.is_none() || !command.granted);
        wanted.extend(left.map(|command| command.name.as_str()));
    }
    let is_signed = grants.signing(&name).next().is_some();
    let pinned = pin == "differs" || pin == "none" && !needs.is_empty() && !is_signed;
    Inspection {
        add: text::add(&name, pinned.then_some(sha256.as_str()), &wanted, &needs),
        version: described.map(|description| description.version.clone()),
        file: path.display().to_string(),
        size_bytes: file.bytes.len(),
        imports: imports.into_iter().map(|(name, admission)| Import { name, state: text::state(admission) }).collect(),
        refused: loaded.err().map(|reason| clean(reason, REASON_MAX_BYTES)),
        granted: grant.map(|grant| grant.summary(&name)).unwrap_or_default(),
        name,
        sha256,
        pin,
        signed_by: Vec::new(),
        built_by: String::new(),
        commands,
        missing,
    }
}
