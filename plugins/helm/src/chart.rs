//! Where a chart comes from, as inputs say it.

use serde_json::{Map, Value, json};

/// Inputs with a release, a chart and its values, and what a command has beside them.
macro_rules! charted {
    ($(#[$doc:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(serde::Deserialize, schemars::JsonSchema)]
        pub struct $name {
            /// The release's name.
            #[schemars(length(min = 1))]
            name: String,
            /// The namespace that it is in.
            #[schemars(length(min = 1))]
            namespace: String,
            /// The chart's name in its repository, its `oci://` address, or the address of a `.tgz`.
            chart_name: Option<String>,
            /// The repository's address.
            repo_url: Option<String>,
            /// The name under which the repository was added.
            repo_name: Option<String>,
            /// The bytes of a chart's `.tgz` as base64, in the place of `chart_name`.
            chart_archive: Option<String>,
            /// Absent or empty: the newest.
            chart_version: Option<String>,
            /// The name of a credential for `repo_url` or an `oci://` address: `user:password`, which the operator keeps and grants.
            credential: Option<String>,
            /// What differs from the chart's own values.
            values: Option<serde_json::Map<String, serde_json::Value>>,
            $($(#[$of_field])* $field: $type,)*
        }

        impl $name {
            fn charted(&self) -> $crate::chart::Charted<'_> {
                $crate::chart::Charted {
                    name: &self.name,
                    namespace: &self.namespace,
                    given: [
                        ("chart", &self.chart_name),
                        ("repo_url", &self.repo_url),
                        ("repo_name", &self.repo_name),
                        ("archive", &self.chart_archive),
                        ("version", &self.chart_version),
                        ("credential", &self.credential),
                    ],
                    values: self.values.as_ref(),
                }
            }
        }
    };
}

pub(crate) use charted;

/// What such inputs have in common.
pub(crate) struct Charted<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) given: [(&'static str, &'a Option<String>); 6],
    pub(crate) values: Option<&'a Map<String, Value>>,
}

impl Charted<'_> {
    /// For the agent. Absent, empty and null are the same.
    pub(crate) fn args(&self) -> Map<String, Value> {
        let given = self.given.iter().filter_map(|(key, value)| {
            let value = value.as_deref().filter(|value| !value.is_empty())?;
            Some(((*key).to_owned(), Value::from(value)))
        });
        let mut args: Map<String, Value> = given.collect();
        args.insert("name".to_owned(), json!(self.name));
        args.insert("namespace".to_owned(), json!(self.namespace));
        args
    }

    /// For Helm.
    pub(crate) fn stdin(&self) -> Vec<u8> {
        self.values.map_or_else(|| b"{}".to_vec(), |values| json!(values).to_string().into_bytes())
    }
}
