//! README's walk, as a test: each command of a block that is marked `console walk` is run, and its output compared with the
//! lines below it, in which `…` stands for what differs from run to run.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::process::until;

/// One command and what README shows of its output.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    command: String,
    output: String,
}

/// Runs the walk; `address` stands where README says `localhost:8099`, and `before` is called with each block's number.
pub(crate) fn walk(readme: &Path, address: &str, mut before: impl FnMut(usize) -> Result<()>) -> Result<()> {
    let text = std::fs::read_to_string(readme)?;
    let blocks = blocks(&text);
    ensure!(!blocks.is_empty(), "README holds no block that begins with ```console walk");
    for (number, block) in blocks.iter().enumerate() {
        before(number)?;
        for example in block {
            // A task takes a moment to end, which a reader's fingers give it.
            let patience = if example.command.contains(" -d ") { Duration::ZERO } else { Duration::from_secs(20) };
            until("README's command gives what README shows", patience, || example.run(address))?;
        }
    }
    Ok(())
}

impl Example {
    fn run(&self, address: &str) -> Result<()> {
        let Self { command, output } = self;
        let line = command.replace("localhost:8099", address);
        let ran = Command::new("bash").args(["-euo", "pipefail", "-c", &line]).output().context("bash is missing")?;
        let said = String::from_utf8_lossy(&ran.stdout);
        ensure!(ran.status.success(), "{command}\nended with {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr));
        ensure!(matches(output, &said), "{command}\ngave\n{said}\nand README shows\n{output}");
        Ok(())
    }
}

fn blocks(text: &str) -> Vec<Vec<Example>> {
    let blocks = text.split("```console walk\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    let mut all = Vec::new();
    for (block, _) in blocks {
        let mut examples = Vec::new();
        for part in block.split("\n$ ").map(|part| part.strip_prefix("$ ").unwrap_or(part)) {
            // A command goes on while its lines end with a backslash.
            let mut lines = part.lines();
            let mut command = String::new();
            for line in lines.by_ref() {
                command.push_str(line);
                if !line.ends_with('\\') {
                    break;
                }
                command.push('\n');
            }
            examples.push(Example { command, output: lines.collect::<Vec<_>>().join("\n") });
        }
        all.push(examples);
    }
    all
}

/// Whether `found` is `shown`, but for white space around lines and what `…` stands for.
fn matches(shown: &str, found: &str) -> bool {
    let (shown, found) = (shown.split_whitespace().collect::<String>(), found.split_whitespace().collect::<String>());
    let Some((first, open)) = shown.split_once('…') else { return shown == found };
    let (middle, last) = open.rsplit_once('…').unwrap_or(("", open));
    let inner = found.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let Some(mut rest) = inner else { return false };
    for piece in middle.split('…') {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Example, blocks, matches};

    #[test]
    fn commands_and_their_outputs_are_read_from_marked_blocks_only() {
        let text = "```console\n$ no\n```\n```console walk\n$ curl a \\\n  b\none\ntwo\n$ curl c\n```\n";
        assert_eq!(
            blocks(text),
            [[
                Example { command: "curl a \\\n  b".into(), output: "one\ntwo".into() },
                Example { command: "curl c".into(), output: String::new() }
            ]]
        );
    }

    #[test]
    fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
        for (shown, found, same) in [
            ("a", "a\n", true),
            ("a", "b", false),
            ("{\"a\":…,\"b\":1}", "{\"a\":\"xyz\", \"b\":1}", true),
            ("{\"a\":…,\"b\":1}", "{\"a\":\"xyz\", \"b\":2}", false),
            ("a…", "abc", true),
            ("a…c", "abcd", false),
            ("a…c", "acbc", true),
            ("a…b…c", "axbxc", true),
            ("a…b…c", "axc", false),
        ] {
            assert_eq!(matches(shown, found), same, "{shown} {found}");
        }
    }
}
