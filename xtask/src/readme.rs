//! A page's walk, as a test: each command of a block that is marked `console walk` is run, and its output compared with the
//! lines below it, in which `…` stands for what differs from run to run. A block that is marked `file PATH` is that file.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::process::until;

/// One command and what the page shows of its output.
#[derive(Debug, PartialEq, Eq)]
struct Example {
    command: String,
    output: String,
}

/// What a reader does with one block.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    Walk(Vec<Example>),
    File { path: String, text: String },
}

/// What stands on the page, and what stands for it here: an address, a folder, a program.
pub(crate) type Swaps<'a> = &'a [(&'a str, String)];

/// Runs the walk; `before` is called with each console block's number.
pub(crate) fn walk(page: &Path, swaps: Swaps<'_>, before: impl FnMut(usize) -> Result<()>) -> Result<()> {
    walk_of("walk", page, swaps, before)
}

/// The same for the blocks that are marked `console MARK`.
pub(crate) fn walk_of(
    mark: &str,
    page: &Path,
    swaps: Swaps<'_>,
    mut before: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let blocks = blocks(mark, &std::fs::read_to_string(page)?);
    let mut number = 0;
    for block in &blocks {
        match block {
            Block::File { path, text } => {
                let path = swapped(path, swaps);
                std::fs::write(&path, text).with_context(|| format!("{path} cannot be written"))?;
            }
            Block::Walk(examples) => {
                before(number)?;
                number += 1;
                for example in examples {
                    // A task takes a moment to end, which a reader's fingers give it. What writes is done once.
                    let asks = example.command.starts_with("curl") && !example.command.contains(" -d ");
                    let patience = if asks { Duration::from_secs(20) } else { Duration::ZERO };
                    until("the page's command gives what the page shows", patience, || example.run(swaps))?;
                }
            }
        }
    }
    ensure!(number > 0, "{} holds no block that begins with ```console {mark}", page.display());
    Ok(())
}

fn swapped(text: &str, swaps: Swaps<'_>) -> String {
    swaps.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here))
}

impl Example {
    fn run(&self, swaps: Swaps<'_>) -> Result<()> {
        let Self { command, output } = self;
        let (line, output) = (swapped(command, swaps), swapped(output, swaps));
        let ran = Command::new("bash").args(["-euo", "pipefail", "-c", &line]).output().context("bash is missing")?;
        let said = String::from_utf8_lossy(&ran.stdout);
        ensure!(ran.status.success(), "{command}\nended with {}: {}", ran.status, String::from_utf8_lossy(&ran.stderr));
        ensure!(matches(&output, &said), "{command}\ngave\n{said}\nand the page shows\n{output}");
        Ok(())
    }
}

/// Those that are marked, in the page's order.
fn blocks(wanted: &str, text: &str) -> Vec<Block> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("```") {
        let Some((mark, inside)) = after.split_once('\n') else { break };
        let (block, behind) = match inside.strip_prefix("```") {
            Some(behind) => ("", behind),
            None => inside.split_once("\n```").unwrap_or((inside, "")),
        };
        rest = behind;
        match mark.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["console", mark] if *mark == wanted => all.push(Block::Walk(examples(block))),
            [_, "file", path] => all.push(Block::File { path: (*path).to_owned(), text: format!("{block}\n") }),
            _ => {}
        }
    }
    all
}

fn examples(block: &str) -> Vec<Example> {
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
    examples
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
    use super::{Block, Example, blocks, matches, swapped};

    #[test]
    fn commands_and_their_outputs_are_read_from_marked_blocks_only() {
        let text = "```console\n$ no\n```\n```console walk\n$ curl a \\\n  b\none\ntwo\n$ curl c\n```\n```\n```\n```yaml file /a/b\nc: d\n```\n";
        assert_eq!(
            blocks("walk", text),
            [
                Block::Walk(vec![
                    Example { command: "curl a \\\n  b".into(), output: "one\ntwo".into() },
                    Example { command: "curl c".into(), output: String::new() }
                ]),
                Block::File { path: "/a/b".into(), text: "c: d\n".into() },
            ]
        );
        assert_eq!(swapped("go to /a, /a/b", &[("/a", "/c".into())]), "go to /c, /c/b");
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
