//! An inspection for people, and the YAML to paste.

use std::fmt::Write as _;

use super::{
    super::surface::{Admission, Need},
    Inspection,
};

const WIDTH: usize = 44;

pub(super) fn state(admission: Admission) -> &'static str {
    match admission {
        Admission::Always => "always",
        Admission::Granted => "granted",
        Admission::Missing(_) => "missing",
        Admission::Unserved => "unserved",
        Admission::Old | Admission::Unknown => "unknown",
    }
}

/// What to add under the plugin's key of the grants file; none where that would not help.
pub(super) fn add(name: &str, pin: Option<&str>, commands: &[&str], needs: &[Need]) -> Option<String> {
    let mut lines = Vec::new();
    lines.extend(pin.map(|pin| format!("    sha256: \"{pin}\"")));
    if !commands.is_empty() {
        let commands: Vec<_> = commands.iter().map(|command| format!("\"{command}\"")).collect();
        lines.push(format!("    commands: [{}]", commands.join(", ")));
    }
    let mut before = "";
    for Need { key, element } in needs {
        if *key != before {
            lines.push(format!("    {key}:"));
        }
        before = key;
        let dash = if *key == "credentials" { "" } else { "- " };
        lines.push(format!("      {dash}{element}"));
    }
    (!lines.is_empty()).then(|| format!("plugins:\n  {name}:\n{}\n", lines.join("\n")))
}

pub(super) fn render(inspection: &Inspection) -> String {
    let mut text = String::new();
    let mut line = |parts: std::fmt::Arguments<'_>| {
        // Writing to text cannot fail.
        let _ = writeln!(text, "{parts}");
    };
    line(format_args!("{} {}", inspection.name, inspection.version.as_deref().unwrap_or("(version not known)")));
    line(format_args!("  file    {} ({} bytes)", inspection.file, inspection.size_bytes));
    let pin = match inspection.pin {
        "matches" => "as the grants file pins it",
        "differs" => "the grants file pins another",
        _ => "not pinned",
    };
    line(format_args!("  sha256  {} ({pin})", inspection.sha256));
    if !inspection.signed_by.is_empty() {
        line(format_args!("  signed  by {}", inspection.signed_by.join(", ")));
    }
    if !inspection.built_by.is_empty() {
        line(format_args!("  made    by {}, as it says", inspection.built_by));
    }
    line(format_args!("\nasks for"));
    let (always, asked): (Vec<_>, Vec<_>) = inspection.imports.iter().partition(|import| import.state == "always");
    for import in asked {
        line(format_args!("  {:<WIDTH$} {}", import.name, import.state));
    }
    line(format_args!("  {:<WIDTH$} always linked", format!("{} imports that need no grant", always.len())));
    line(format_args!("\nserves"));
    for command in &inspection.commands {
        let effect = if command.effect.starts_with('[') { "effect by inputs" } else { &command.effect };
        let granted = if command.granted { "" } else { "  NOT GRANTED" };
        line(format_args!("  {:<WIDTH$} {effect:<16} {}{granted}", command.name, command.summary));
    }
    if let Some(reason) = &inspection.refused {
        line(format_args!("  not known: {reason}"));
    }
    line(format_args!("\nmay"));
    for granted in &inspection.granted {
        line(format_args!("  {granted}"));
    }
    if inspection.granted.is_empty() {
        line(format_args!("  know its task and write its log, nothing else"));
    }
    if inspection.missing.is_empty() {
        if inspection.refused.is_none() {
            line(format_args!("\nnothing is missing"));
        }
        return text;
    }
    line(format_args!("\nmissing"));
    for missing in &inspection.missing {
        line(format_args!("  {}: {}", missing.what, missing.why));
    }
    if let Some(add) = &inspection.add {
        line(format_args!("\nadd to the grants file, with your own values for the words in capitals:\n"));
        text.push_str(add);
    }
    text
}
