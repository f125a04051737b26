//! Entries for HTTP: one for what goes to the same place, joined where that allows nothing more.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use http::Uri;
use serde_json::Value;

use crate::{
    grants::{
        Grant,
        http::{Origin, Request, addresses_of, authorise},
    },
    http::tape::Exchange,
    tools::Cassette,
};

/// An entry under `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    url: String,
    methods: BTreeSet<String>,
    paths: BTreeSet<String>,
    /// Of the methods those that only read.
    reads: BTreeSet<String>,
    /// As `addresses` says it; none: public.
    addresses: Option<String>,
    ca: Option<String>,
}

/// An entry under `credentials`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Credential {
    hosts: BTreeSet<String>,
    methods: BTreeSet<String>,
    header: Option<String>,
}

/// The sections `http` and `credentials` of a plugin's entry, as they stand in a grants file; empty where nothing was sent.
///
/// # Errors
/// Which request no grant can allow, and why.
pub(super) fn sections(cassettes: &[Cassette]) -> Result<String, String> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut credentials: BTreeMap<&str, Credential> = BTreeMap::new();
    for cassette in cassettes {
        for (number, exchange) in cassette.http.iter().enumerate() {
            let entry = entry(&cassette.plugin, exchange).map_err(|why| format!("http {}: {why}", number + 1))?;
            if let Some(name) = &exchange.request.credential {
                let credential = credentials.entry(name).or_default();
                credential.hosts.insert(entry.url.clone());
                credential.methods.insert(exchange.request.method.clone());
                credential.header.clone_from(&exchange.request.credential_header);
            }
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }
    let mut text = String::new();
    for (key, lines) in [
        ("http", joined(entries).iter().map(|entry| format!("- {entry}")).collect::<Vec<_>>()),
        ("credentials", credentials.iter().map(|(name, credential)| format!("{name}: {credential}")).collect()),
    ] {
        if !lines.is_empty() {
            text.push_str(&format!("    {key}:\n"));
        }
        lines.iter().for_each(|line| text.push_str(&format!("      {line}\n")));
    }
    Ok(text)
}

fn entry(plugin: &str, exchange: &Exchange) -> Result<Entry, String> {
    let asked = &exchange.request;
    let url: Uri = asked.url.parse().map_err(|error| format!("`{}` is no URL: {error}", asked.url))?;
    let request = Request { plugin, method: &asked.method, url: &url, credential: None };
    // Under no grant at all; what no grant could allow has nothing that would.
    if let Err(denial) = authorise(&Grant::default(), &request)
        && denial.allow.is_none()
    {
        return Err(denial.message);
    }
    let one = |text: &str| BTreeSet::from([text.to_owned()]);
    Ok(Entry {
        url: Origin::of(&url)?.to_string(),
        methods: one(&asked.method),
        paths: one(url.path()),
        reads: if exchange.reads { one(&asked.method) } else { BTreeSet::new() },
        addresses: exchange.address.and_then(addresses_of),
        ca: exchange.ca.clone(),
    })
}

fn joined(mut entries: Vec<Entry>) -> Vec<Entry> {
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        let together =
            entries.iter().enumerate().skip(at + 1).find_map(|(index, other)| Some((index, entry.with(other)?)));
        match together {
            Some((index, both)) => {
                entries.remove(index);
                if let Some(place) = entries.get_mut(at) {
                    *place = both;
                }
                at = 0;
            }
            None => at += 1,
        }
    }
    entries
}

impl Entry {
    /// One entry that allows what both do and nothing else.
    fn with(&self, other: &Self) -> Option<Self> {
        if (&self.url, &self.addresses, &self.ca) != (&other.url, &other.addresses, &other.ca) {
            return None;
        }
        let union = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.union(other).cloned().collect();
        let mut both = self.clone();
        if self.paths == other.paths {
            // A method that only reads for one of them would only read for both.
            let same = |method: &&String| self.reads.contains(*method) == other.reads.contains(*method);
            if !self.methods.intersection(&other.methods).all(|method| same(&method)) {
                return None;
            }
            both.methods = union(&self.methods, &other.methods);
            both.reads = union(&self.reads, &other.reads);
            return Some(both);
        }
        (self.methods == other.methods && self.reads == other.reads).then(|| {
            both.paths = union(&self.paths, &other.paths);
            both
        })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, methods, paths, reads, addresses, ca } = self;
        write!(f, "{{url: {}, methods: [{}], paths: [{}]", quoted(url), words(methods), texts(paths))?;
        if !reads.is_empty() {
            write!(f, ", reads: [{}]", words(reads))?;
        }
        if let Some(addresses) = addresses {
            write!(f, ", addresses: {addresses}")?;
        }
        if let Some(ca) = ca {
            write!(f, ", ca: {}", quoted(ca))?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{hosts: [{}], methods: [{}]", texts(&self.hosts), words(&self.methods))?;
        if let Some(header) = &self.header {
            write!(f, ", header: {}", quoted(header))?;
        }
        f.write_str("}")
    }
}

/// As JSON has it, which YAML reads too.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn texts(texts: &BTreeSet<String>) -> String {
    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
}

/// Methods, which need no quotes.
fn words(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Cassette, sections};

    fn suggested(requests: Value) -> Result<String, String> {
        let cassette = json!({"cassette": 1, "plugin": "tool", "sha256": "ab", "command": "tool.run", "inputs": {}, "http": requests});
        sections(&[serde_json::from_value::<Cassette>(cassette).unwrap()])
    }

    fn sent(method: &str, url: &str, more: Value) -> Value {
        let mut exchange = json!({"request": {"method": method, "url": url}, "gave": {"answer": {"status": 200}}});
        for (key, value) in more.as_object().into_iter().flatten() {
            match key.as_str() {
                "credential" | "credential-header" => exchange["request"][key] = value.clone(),
                _ => exchange[key] = value.clone(),
            }
        }
        exchange
    }

    #[test]
    fn entries_are_one_where_that_allows_nothing_more() {
        let (a, b) = ("http://127.0.0.1:9090/a", "http://127.0.0.1:9090/b");
        let at = json!({"address": "127.0.0.1"});
        for (requests, text) in [
            (json!([]), ""),
            (
                json!([sent("GET", a, at.clone()), sent("GET", b, at.clone()), sent("GET", a, at.clone())]),
                "    http:\n      - {url: \"http://127.0.0.1:9090\", methods: [GET], paths: [\"/a\", \"/b\"], addresses: [\"127.0.0.1/32\"]}\n",
            ),
            (
                json!([sent("GET", a, at.clone()), sent("POST", a, json!({"address": "127.0.0.1", "reads": true}))]),
                "    http:\n      - {url: \"http://127.0.0.1:9090\", methods: [GET, POST], paths: [\"/a\"], reads: [POST], addresses: [\"127.0.0.1/32\"]}\n",
            ),
            // Together they would allow POST to the other path.
            (
                json!([sent("GET", a, at.clone()), sent("POST", b, at)]),
                "    http:\n      - {url: \"http://127.0.0.1:9090\", methods: [GET], paths: [\"/a\"], addresses: [\"127.0.0.1/32\"]}\n      \
                 - {url: \"http://127.0.0.1:9090\", methods: [POST], paths: [\"/b\"], addresses: [\"127.0.0.1/32\"]}\n",
            ),
            (
                json!([
                    sent(
                        "GET",
                        "https://shop.example.com/x",
                        json!({"address": "10.1.2.3", "ca": "cluster", "credential": "shop"})
                    ),
                    sent(
                        "POST",
                        "https://shop.example.com/x",
                        json!({"address": "10.1.2.3", "ca": "cluster", "credential": "shop"})
                    ),
                ]),
                "    http:\n      - {url: \"https://shop.example.com\", methods: [GET, POST], paths: [\"/x\"], addresses: cluster, ca: \"cluster\"}\n    \
                 credentials:\n      shop: {hosts: [\"https://shop.example.com\"], methods: [GET, POST]}\n",
            ),
        ] {
            assert_eq!(suggested(requests.clone()).unwrap(), text, "{requests}");
        }
    }

    #[test]
    fn what_no_entry_can_say_is_told() {
        for (url, part) in
            [("http://127.1/", "is a number"), ("http://x.example.com/a*b", "no entry"), ("no url", "is no URL")]
        {
            let error = suggested(json!([sent("GET", url, json!({}))])).unwrap_err();
            assert!(error.starts_with("http 1: ") && error.contains(part), "{url}: {error}");
        }
    }
}
