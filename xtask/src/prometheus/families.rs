//! Metrics in three forms: as a host shows them, as the page lists them, and as queries name them.

use std::collections::{BTreeMap, BTreeSet};

/// Below this heading stand metrics that a host has only where it is configured so.
const SOMETIMES: &str = "### Only where it is configured";

/// A page's rows about metrics that must be there, and those about metrics that may be.
pub(super) fn promised(page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (always, rest) = page.split_once(SOMETIMES).unwrap_or((page, ""));
    let (sometimes, after) = rest.split_once("\n## ").unwrap_or((rest, ""));
    (documented(&format!("{always}\n{after}")), documented(sometimes))
}

/// The rows of a page's tables that are about metrics: `name`, type, labels, help.
pub(super) fn documented(page: &str) -> BTreeSet<String> {
    let is_row = |line: &&str| names(line.split('|').nth(1).unwrap_or_default()).len() == 1 && line.starts_with("| `");
    page.lines().filter(is_row).map(|line| line.trim().to_owned()).collect()
}

/// The metrics of a text in Prometheus's format, as rows of such a table.
pub(super) fn families(text: &str) -> BTreeSet<String> {
    let (mut help, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            help.insert(name, words);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(name, kind);
        } else if let Some((name, rest)) = line.split_once('{') {
            let family = family(name);
            let all = labels.entry(if kinds.contains_key(family) { family } else { name }).or_default();
            all.extend(label_names(rest).into_iter().filter(|label| *label != "le"));
        }
    }
    kinds
        .into_iter()
        .map(|(name, kind)| {
            let labels = labels.get(name).into_iter().flatten().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(" ");
            let labels = if labels.is_empty() { "–" } else { &labels };
            format!("| `{name}` | {kind} | {labels} | {} |", help.get(name).copied().unwrap_or_default())
        })
        .collect()
}

/// The names in `a="…",b="…"}`; a value may hold anything.
fn label_names(mut pairs: &str) -> Vec<&str> {
    let mut names = Vec::new();
    while let Some((name, value)) = pairs.split_once("=\"") {
        names.push(name.trim_start_matches(','));
        let mut is_escaped = false;
        let end = value.find(|c| {
            let is_end = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        });
        pairs = end.and_then(|end| value.get(end + 1..)).unwrap_or_default();
    }
    names
}

/// The metrics of ours that a text names, without the ends that a histogram's series have.
pub(super) fn names(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours =
        words.filter(|word| ["claiflow_", "http_server_", "grpc_server_"].iter().any(|ours| word.starts_with(ours)));
    ours.map(|name| family(name).to_owned()).collect()
}

/// A counter keeps its `_total`.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::{SOMETIMES, documented, families, names, promised};

    #[test]
    fn what_a_host_shows_and_what_the_page_says_are_compared_in_one_form() {
        let text = "# HELP claiflow_a_seconds How long.\n# TYPE claiflow_a_seconds histogram\n\
                    claiflow_a_seconds_bucket{plugin=\"{x},y=\",le=\"1\"} 1\nclaiflow_a_seconds_sum{plugin=\"x\"} 1\n\
                    # HELP claiflow_b Plain\n# TYPE claiflow_b gauge\nclaiflow_b 1\n";
        let page = "| `claiflow_a_seconds` | histogram | `plugin` | How long. |\n| `claiflow_b` | gauge | – | Plain |\n\
                    | word | other |\nProse with `claiflow_b`.\n";
        assert_eq!(families(text), documented(page));
        let page = format!(
            "{page}{SOMETIMES}\n| `claiflow_c` | gauge | – | Rare |\n\n## Next\n| `claiflow_d` | gauge | – | d |\n"
        );
        let (always, sometimes) = promised(&page);
        assert_eq!((always.len(), sometimes.len()), (3, 1));
        assert_eq!(names("sum(rate(claiflow_a_seconds_bucket[5m])) > up"), ["claiflow_a_seconds"]);
        assert_eq!(names("http_server_requests_total{state=\"x\"}"), ["http_server_requests_total"]);
    }
}
