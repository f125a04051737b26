//! What a plugin may do, in lines that an operator reads: in the inventory, and in `inspect`.

use super::{Grant, kubernetes::IdentityBy};

const LINES_MAX: usize = 64;
const LINE_MAX_CHARS: usize = 500;

impl Grant {
    /// One line a grant; empty where there is nothing beyond the task and its log. `plugin` is its name.
    #[must_use]
    pub fn summary(&self, plugin: &str) -> Vec<String> {
        let mut lines: Vec<String> = self.kubernetes.iter().map(|rule| format!("kubernetes: {rule}")).collect();
        if !(self.kubernetes.is_empty() && self.process.is_empty()) {
            let account = self.identity.account_of(plugin);
            lines.push(match self.identity.by {
                IdentityBy::Token => format!("kubernetes: as the ServiceAccount {account}, by its token"),
                IdentityBy::Impersonate => format!("kubernetes: as the ServiceAccount {account}, impersonated"),
                IdentityBy::Agent => "kubernetes: as the agent itself, with all that the agent may do".to_owned(),
            });
        }
        lines.extend(self.http.iter().map(|grant| format!("http: {grant}")));
        lines.extend(self.credentials.iter().map(|(name, grant)| format!("credentials: {name} {grant}")));
        if !self.process.is_empty() {
            lines.push(format!("process: {}", self.process.join(", ")));
        }
        if !self.system.is_empty() {
            let parts: Vec<_> = self.system.iter().map(|part| part.as_str()).collect();
            lines.push(format!("system: {} of the agent itself", parts.join(", ")));
        }
        let more = lines.len().saturating_sub(LINES_MAX);
        lines.truncate(LINES_MAX);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines.into_iter().map(short).collect()
    }
}

fn short(line: String) -> String {
    match line.char_indices().nth(LINE_MAX_CHARS) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use crate::grants::Grants;

    #[test]
    fn every_grant_is_told_in_a_line() {
        let text = r#"
plugins:
  tool:
    sha256: "9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c"
    kubernetes:
      - {groups: [apps], resources: [deployments], verbs: [get, patch], namespaces: [shop], names: ["web-*"],
         read: [metadata.name, spec], write: [spec.replicas]}
      - {groups: ["", example.com], resources: ["*"], verbs: [list], namespaces: ["*"], scope: cluster, dangerous: true, write: []}
      - {groups: [""], resources: [nodes], verbs: [get], scope: cluster}
    http: [{url: "https://prometheus:9090", methods: [GET, POST], paths: ["/api/v1/*"], reads: [POST], addresses: cluster, ca: cluster}]
    credentials: {"grafana-*": {hosts: ["https://grafana.example.com"], methods: [GET], reveal: true}}
    process: [helm.upgrade, helm.history]
"#;
        let grants = Grants::parse(text).unwrap();
        assert_eq!(
            grants.plugins["tool"].summary("tool"),
            [
                "kubernetes: get, patch of deployments.apps in shop, named web-*; reads metadata.name, spec; writes spec.replicas",
                "kubernetes: list of any kind of the core group, any kind of example.com in every namespace and of the cluster; writes nothing; dangerous",
                "kubernetes: get of nodes of the cluster",
                "kubernetes: as the ServiceAccount claiflow-plugin-tool, by its token",
                "http: GET, POST https://prometheus:9090 /api/v1/*; addresses of the cluster; POST only reads; trusts the CA `cluster`",
                "credentials: grafana-* for GET https://grafana.example.com; the plugin may see it",
                "process: helm.upgrade, helm.history",
            ]
        );
        let system = format!("plugins: {{claiflow: {{sha256: \"{}\", system: [agent, credentials]}}}}", "0".repeat(64));
        let system = Grants::parse(&system).unwrap().plugins["claiflow"].summary("claiflow");
        assert_eq!(system, ["system: credentials, agent of the agent itself"]);
        assert!(Grants::parse("plugins: {a: {}}").unwrap().plugins["a"].summary("a").is_empty());
    }

    #[test]
    fn a_long_list_is_told_in_part() {
        let rules = r#"{groups: [""], resources: [pods], verbs: [get], namespaces: [a]}, "#.repeat(100);
        let text = format!("plugins: {{tool: {{sha256: \"{}\", kubernetes: [{rules}]}}}}", "0".repeat(64));
        let lines = Grants::parse(&text).unwrap().plugins["tool"].summary("tool");
        assert_eq!(lines.len(), 65);
        assert_eq!(lines[64], "and 37 more");
    }
}
