//! The tables that are read, by the names under which the first version's releases had them, and the columns without which
//! nothing can be made of their rows. Any other column may be missing.

use super::Error;
use crate::storage::Original;

const CLUSTER: &[&str] = &["cluster"];
const TOKEN: &[&str] = &["cluster_client_token", "cluster_token"];
const TEMPLATE: &[&str] = &["template"];
const SERVICE: &[&str] = &["service"];
const STATUS: &[&str] = &["service_status"];
const RESULT: &[&str] = &["service_result"];
const WEBHOOK: &[&str] = &["webhook"];
const VARIABLE: &[&str] = &["global_variables", "global_variable"];

const NO_TABLE: &str = "the table";

/// Which name each has.
pub(super) struct Tables {
    pub(super) clusters: &'static str,
    pub(super) tokens: &'static str,
    pub(super) templates: &'static str,
    pub(super) services: &'static str,
    pub(super) statuses: &'static str,
    pub(super) results: &'static str,
    pub(super) variables: Option<&'static str>,
    pub(super) webhooks: Option<&'static str>,
}

impl Tables {
    /// Looks for all of them.
    ///
    /// # Errors
    /// [`Error::Missing`] with the name of the table or the column.
    pub(super) fn find(original: &Original) -> Result<Self, Error> {
        Ok(Self {
            clusters: table(original, CLUSTER, &["uuid"])?,
            tokens: table(original, TOKEN, &["uuid", "cluster_uuid", "token"])?,
            templates: table(original, TEMPLATE, &["uuid", "flow"])?,
            services: table(original, SERVICE, &["cluster_uuid", "uuid", "template_uuid", "flow"])?,
            statuses: table(original, STATUS, &["cluster_uuid", "uuid", "status", "created"])?,
            results: table(original, RESULT, &["cluster_uuid", "uuid", "result"])?,
            variables: where_there(table(original, VARIABLE, &["uuid", "name", "value"]))?,
            webhooks: where_there(table(original, WEBHOOK, &["uuid", "url"]))?,
        })
    }

    /// Whether something of the table is taken over.
    pub(super) fn are_taken(&self, table: &str) -> bool {
        let own = [self.clusters, self.tokens, self.templates, self.services, self.statuses, self.results];
        own.contains(&table) || [self.variables, self.webhooks].contains(&Some(table))
    }
}

/// None where the whole table is missing.
fn where_there(found: Result<&'static str, Error>) -> Result<Option<&'static str>, Error> {
    match found {
        Err(Error::Missing(what)) if what.starts_with(NO_TABLE) => Ok(None),
        found => found.map(Some),
    }
}

fn table(original: &Original, names: &[&'static str], columns: &[&str]) -> Result<&'static str, Error> {
    let there = original.tables();
    let name = names.iter().find(|name| there.contains(*name)).copied();
    let name = name.ok_or_else(|| Error::Missing(format!("{NO_TABLE} {}", names.join(" or "))))?;
    match columns.iter().find(|column| !original.has(name, column)) {
        Some(column) => Err(Error::Missing(format!("the column {name}.{column}"))),
        None => Ok(name),
    }
}
