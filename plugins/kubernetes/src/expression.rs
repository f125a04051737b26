//! jq over an object. It runs in the sandbox, under the call's limits: what never ends or eats memory costs this call.

use claiflow_sdk::Error;
use jaq_core::{
    Compiler, Ctx, Vars, data,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::{Val, read};

/// Definitions over functions that are not linked: what speaks with the world, mathematics, regular expressions, times and
/// formats. They would double the component's size.
const WITHHELD: &[&str] = &[
    "stderr",
    "debug",
    "halt",
    "halt_error",
    "logb",
    "significand",
    "pow10",
    "drem",
    "nexttoward",
    "scalb",
    "gamma",
    "test",
    "scan_",
    "scan",
    "match",
    "capture",
    "splits",
    "sub",
    "gsub",
    "todate",
    "fromdate",
    "@sh",
    "@html",
    "@htmld",
    "@uri",
    "@urid",
    "@base64",
    "@base64d",
];

/// Outputs that are looked at for one that is not null.
const OUTPUTS: usize = 1_000;
/// jaq's errors quote values, which may be large.
const ERROR_CHARS: usize = 300;

/// A condition that an object may meet.
pub(crate) struct Expression(jaq_core::Filter<data::JustLut<Val>>);

impl Expression {
    /// # Errors
    /// `invalid`: what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        // `split` by a text stays, `split` by a regular expression does not.
        let is_linked = |name: &str, places: usize| !WITHHELD.contains(&name) && (name, places) != ("split", 2);
        let defs = defs.filter(|def| is_linked(def.name, def.args.len()));
        let funs = jaq_core::funs().chain(jaq_std::base_funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(defs).load(&arena, File { code: text, path: () });
        let modules = modules.map_err(|_| Error::invalid("`until` is no jq expression"))?;
        let compiled = Compiler::default().with_funs(funs).compile(modules);
        compiled.map(Self).map_err(|errors| {
            let unknown = errors.iter().flat_map(|(_, errors)| errors.iter().map(|(name, _)| format!("`{name}`")));
            let unknown = unknown.collect::<Vec<_>>().join(", ");
            Error::invalid(shortened(&format!("`until` uses {unknown}, which is not available here")))
        })
    }

    /// Whether the first output that is not null is neither that nor `false`.
    ///
    /// # Errors
    /// One sentence about what the expression met.
    pub(crate) fn holds(&self, object: &str) -> Result<bool, String> {
        let value =
            read::parse_single(object.as_bytes()).map_err(|error| format!("the object is not JSON: {error}"))?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        for output in self.0.id.run((context, value)).map(unwrap_valr).take(OUTPUTS) {
            match output {
                Ok(Val::Null) => {}
                Ok(output) => return Ok(!matches!(output, Val::Bool(false))),
                Err(error) => return Err(shortened(&error.to_string())),
            }
        }
        Ok(false)
    }
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(ERROR_CHARS) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Expression;
    use serde_json::json;

    #[test]
    fn conditions_that_people_wait_for() {
        let object = json!({
            "metadata": {"generation": 2, "labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"replicas": 3},
            "status": {
                "observedGeneration": 2, "availableReplicas": 3, "phase": "Running",
                "conditions": [{"type": "Available", "status": "True"}, {"type": "Progressing", "status": "False"}],
            },
        })
        .to_string();
        for (text, holds) in [
            (r#".status.phase == "Running""#, true),
            (r#".status.phase == "Failed""#, false),
            (
                ".status.observedGeneration >= .metadata.generation and .status.availableReplicas == .spec.replicas",
                true,
            ),
            (r#"any(.status.conditions[]; .type == "Available" and .status == "True")"#, true),
            (r#".status.conditions | map(select(.status == "True")) | length == 2"#, false),
            (r#"[.status.conditions[].type] | index("Progressing") != null"#, true),
            (r#".metadata.labels["app.kubernetes.io/name"] | startswith("we")"#, true),
            (r#".status.phase | ascii_downcase | split("n") | first == "ru""#, true),
            (".status.loadBalancer.ingress[0].ip", false),
            (". == null", false),
            ("empty", false),
        ] {
            assert_eq!(Expression::parse(text).unwrap().holds(&object), Ok(holds), "{text}");
        }
        assert_eq!(Expression::parse(". == null").unwrap().holds("null"), Ok(true));
        assert!(Expression::parse(".spec[]").unwrap().holds("null").is_err());
    }

    #[test]
    fn what_is_no_expression_is_told() {
        for (text, part) in [
            ("", "no jq expression"),
            (".a ==", "no jq expression"),
            ("no_such_thing", "`no_such_thing`"),
            ("$ENV", "ENV"),
            ("now", "`now`"),
            ("input", "`input`"),
            ("halt", "halt"),
            (r#".status.phase | test("Run")"#, "`test`"),
        ] {
            let error = Expression::parse(text).err().unwrap_or_else(|| panic!("{text} is one"));
            assert!(error.code() == "invalid" && error.message().contains(part), "{text}: {error}");
        }
    }
}
