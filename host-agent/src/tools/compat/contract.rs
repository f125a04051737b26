//! Whether this agent serves what a file imports, told with the lines of the contract.

use crate::plugin::{ImportPortrait, Portrait};

use super::Finding;

/// The contract as this agent was built with it.
const PAGES: [(&str, &str); 8] = [
    ("wit/agent.wit", include_str!("../../../../wit/agent.wit")),
    ("wit/credentials.wit", include_str!("../../../../wit/credentials.wit")),
    ("wit/handler.wit", include_str!("../../../../wit/handler.wit")),
    ("wit/kubernetes.wit", include_str!("../../../../wit/kubernetes.wit")),
    ("wit/log.wit", include_str!("../../../../wit/log.wit")),
    ("wit/process.wit", include_str!("../../../../wit/process.wit")),
    ("wit/task.wit", include_str!("../../../../wit/task.wit")),
    ("wit/types.wit", include_str!("../../../../wit/types.wit")),
];
const PACKAGE: &str = "claiflow:plugin/";
const LIKENESS_MIN: f64 = 0.7;

/// What stands in the way of this file on this agent, whatever is granted.
pub(super) fn check(portrait: &Portrait) -> Vec<Finding> {
    let contract = Contract::read();
    let mut findings: Vec<Finding> = portrait.imports.iter().flat_map(|import| contract.import(import)).collect();
    if let Some(reason) = &portrait.refused
        && findings.is_empty()
    {
        findings.push(Finding::breaks("load", &portrait.name, reason.clone()).quoting(contract.named_in(reason)));
    }
    findings
}

/// The lines that a text names.
pub(super) fn quotes(text: &str) -> Vec<String> {
    Contract::read().named_in(text)
}

/// One function of one interface.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    interface: String,
    /// As a component names it: `get`, `[method]listing.next`.
    name: String,
    /// `wit/kubernetes.wit:45: get: func(…) -> …;`
    quote: String,
}

#[derive(Debug, Default)]
struct Contract {
    /// Name and the line that begins it.
    interfaces: Vec<(String, String)>,
    functions: Vec<Function>,
}

impl Contract {
    fn read() -> Self {
        let mut contract = Self::default();
        for (page, text) in PAGES {
            contract.take(page, text);
        }
        contract
    }

    /// Blocks nest two deep: an interface, and a resource in it.
    fn take(&mut self, page: &str, text: &str) {
        let (mut interface, mut resource, mut depth) = (String::new(), String::new(), 0_usize);
        for (number, line) in text.lines().enumerate() {
            let code = line.trim();
            if code.starts_with("//") {
                continue;
            }
            let quote = || format!("{page}:{}: {code}", number + 1);
            let word =
                |rest: &str| rest.split(|c: char| c == '{' || c.is_whitespace()).next().unwrap_or_default().to_owned();
            if let Some(rest) = code.strip_prefix("interface ") {
                interface = word(rest);
                self.interfaces.push((interface.clone(), quote()));
            } else if let Some(rest) = code.strip_prefix("resource ") {
                resource = word(rest);
            } else if let Some((name, _)) = code.split_once(": func(") {
                let name = name.trim_start_matches('%');
                let name = if depth >= 2 { format!("[method]{resource}.{name}") } else { name.to_owned() };
                self.functions.push(Function { interface: interface.clone(), name, quote: quote() });
            }
            depth = (depth + code.matches('{').count()).saturating_sub(code.matches('}').count());
        }
    }

    fn import(&self, import: &ImportPortrait) -> Vec<Finding> {
        let Some(path) = import.name.strip_prefix(PACKAGE) else {
            let why = "this agent has no such interface; it links WASI 0.2 and `claiflow:plugin`";
            return (!import.served).then(|| Finding::breaks("import", &import.name, why)).into_iter().collect();
        };
        let (name, _) = path.split_once('@').unwrap_or((path, ""));
        let Some((_, quote)) = self.interfaces.iter().find(|(interface, _)| interface == name) else {
            let near = nearest(name, self.interfaces.iter().map(|(interface, _)| interface.as_str()));
            let near = self.interfaces.iter().filter(|(interface, _)| Some(interface.as_str()) == near);
            let quotes = near.map(|(_, quote)| quote.clone()).collect();
            let why = "the contract of this agent has no such interface; it may be of a newer one";
            return vec![Finding::breaks("import", &import.name, why).quoting(quotes)];
        };
        if !import.served {
            let why = "the contract has it, and this agent does not serve it, whatever is granted";
            return vec![Finding::breaks("import", &import.name, why).quoting(vec![quote.clone()])];
        }
        let of = |function: &&Function| function.interface == name;
        let missing = import.functions.iter().filter(|wanted| {
            !wanted.starts_with("[resource-drop]") && !self.functions.iter().filter(of).any(|it| it.name == **wanted)
        });
        missing
            .map(|wanted| {
                let near = nearest(wanted, self.functions.iter().filter(of).map(|it| it.name.as_str()));
                let near = self.functions.iter().filter(of).filter(|it| Some(it.name.as_str()) == near);
                let mut quotes = vec![quote.clone()];
                quotes.extend(near.map(|it| it.quote.clone()));
                let why = format!("the interface has no function `{wanted}` here");
                Finding::breaks("import", &import.name, why).quoting(quotes)
            })
            .collect()
    }

    /// The lines of what a text names: an interface, and a function of it.
    fn named_in(&self, text: &str) -> Vec<String> {
        let words: Vec<&str> = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-[].:/@".contains(c))).collect();
        let interfaces = self.interfaces.iter().filter(|(interface, _)| {
            words
                .iter()
                .any(|word| word.strip_prefix(PACKAGE).is_some_and(|path| path.split('@').next() == Some(interface)))
        });
        let mut quotes = Vec::new();
        for (interface, quote) in interfaces {
            let named =
                self.functions.iter().filter(|it| it.interface == *interface && words.contains(&it.name.as_str()));
            let before = quotes.len();
            quotes.extend(named.map(|it| it.quote.clone()));
            if quotes.len() == before {
                quotes.push(quote.clone());
            }
        }
        quotes
    }
}

fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.map(|name| (strsim::jaro_winkler(wanted, name), name));
    let best = scored.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::Contract;
    use crate::plugin::ImportPortrait;

    fn import(name: &str, functions: &[&str], served: bool) -> ImportPortrait {
        let functions = functions.iter().map(|name| (*name).to_owned()).collect();
        ImportPortrait { name: name.to_owned(), functions, served, grant: None }
    }

    #[test]
    fn the_pages_are_read_with_their_lines() {
        let contract = Contract::read();
        let find = |interface: &str, name: &str| {
            contract
                .functions
                .iter()
                .find(|it| it.interface == interface && it.name == name)
                .map(|it| it.quote.as_str())
        };
        let next = find("kubernetes", "[method]listing.next").unwrap();
        assert!(
            next.starts_with("wit/kubernetes.wit:") && next.ends_with("next: func() -> result<option<json>, failure>;")
        );
        assert!(find("kubernetes-write", "remove").unwrap().contains("remove: func(target: object"));
        assert!(find("kubernetes-exec", "[method]execution.close-stdin").is_some());
        assert!(find("process", "[method]child.wait").is_some() && find("task", "note").is_some());
    }

    #[test]
    fn what_is_missing_is_told_with_the_line_that_comes_nearest() {
        let contract = Contract::read();
        for (import, why, quote) in [
            (import("claiflow:plugin/kubernetes@1.0.0", &["get", "[method]listing.next"], true), "", ""),
            (import("claiflow:plugin/kubernetes@1.0.0", &["gets"], true), "no function `gets`", "get: func("),
            (
                import("claiflow:plugin/kubernetes-exe@1.1.0", &[], false),
                "no such interface",
                "interface kubernetes-exec {",
            ),
            (import("claiflow:plugin/process@1.0.0", &[], false), "does not serve it", "interface process {"),
            (import("wasi:nn/tensor@0.2.0", &[], false), "no such interface", ""),
            (import("wasi:cli/stdout@0.2.6", &[], true), "", ""),
        ] {
            let findings = contract.import(&import);
            assert_eq!(findings.is_empty(), why.is_empty(), "{findings:?}");
            for finding in findings {
                assert!(finding.breaks && finding.why.contains(why), "{finding:?}");
                assert!(quote.is_empty() || finding.quotes.iter().any(|it| it.contains(quote)), "{finding:?}");
            }
        }
        let said =
            "component imports instance `claiflow:plugin/kubernetes@1.0.0`: type mismatch with function `read-log`";
        let quotes = contract.named_in(said);
        assert!(quotes.len() == 1 && quotes[0].contains("read-log: func(pod: object"), "{quotes:?}");
    }
}
