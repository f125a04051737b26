//! jq over an object: jaq's core with values and functions of ours, since with all of jaq no ConfigMap would hold it. It runs in
//! the sandbox, under the call's limits: what never ends or eats memory costs this call.

mod functions;
mod value;

use claiflow_sdk::Error;
use jaq_core::{
    Compiler, Ctx, Vars, data,
    load::{self, Arena, File, Loader, parse},
    unwrap_valr,
};
use serde_json::Value;

use functions::{DEFINITIONS, functions};
use value::Val;

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
        let ours = parse(DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
        let defs = jaq_core::defs().chain(ours);
        let funs = jaq_core::funs().chain(functions());
        let arena = Arena::default();
        let modules = Loader::new(defs).load(&arena, File { code: text, path: () });
        let modules = modules.map_err(|errors| {
            Error::invalid(shortened(&format!("`until` is no jq expression{}", mistake(&errors).unwrap_or_default())))
        })?;
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
        let value: Value = serde_json::from_str(object).map_err(|error| format!("the object is not JSON: {error}"))?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        for output in self.0.id.run((context, Val::from(value))).map(unwrap_valr).take(OUTPUTS) {
            match output {
                Ok(Val::Null) => {}
                Ok(output) => return Ok(!matches!(output, Val::Bool(false))),
                Err(error) => return Err(shortened(&error.to_string())),
            }
        }
        Ok(false)
    }
}

/// What stands where something else should.
fn mistake(errors: &load::Errors<&str, ()>) -> Option<String> {
    let (expected, there) = errors.iter().find_map(|(_, error)| match error {
        load::Error::Lex(errors) => errors.first().map(|(expected, there)| (expected.as_str(), *there)),
        load::Error::Parse(errors) => errors.first().map(|(expected, there)| (expected.as_str(), *there)),
        load::Error::Io(_) => None,
    })?;
    let there = if there.is_empty() { "there is the end".to_owned() } else { format!("there is `{there}`") };
    Some(format!(": expected {expected}, and {there}"))
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
            "spec": {"replicas": 3, "cpu": "500m"},
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
            (r#"(.spec.cpu | rtrimstr("m") | tonumber) >= 500"#, true),
            (r#".status.conditions | map(.type) | join(",") == "Available,Progressing""#, true),
            (r#"[.status.conditions[] | select(.status == "True").type] == ["Available"]"#, true),
            (r#"[3, 1, 2, 1] | (sort, unique, [min, max], (sort_by(-.) | .[0])) | tojson | . == "[1,1,2,3]""#, true),
            (
                r#"[3, 1, 2, 1] | unique == [1, 2, 3] and min == 1 and max == 3 and sort_by(-.)[0] == 3 and add == 7"#,
                true,
            ),
            (r#"[{a: 2}, {a: 1}, {a: 2, b: 1}] | group_by(.a) | map(length) == [1, 2]"#, true),
            (
                r#".metadata | has("labels") and (keys == ["generation", "labels"]) and (.labels | type) == "object""#,
                true,
            ),
            (r#".spec | contains({replicas: 3}) and (to_entries | any(.key == "cpu"))"#, true),
            (r#"[.. | numbers] | length == 4"#, true),
            (r#".status.phase[:3] == "Run" and .status.phase[-1:] == "g" and ("x\(.spec.replicas)" == "x3")"#, true),
            (r#"[limit(2; .status.conditions[])] | length == 2 and (flatten | length) == 2"#, true),
            (r#"first(.status.conditions[] | select(.type == "Progressing")).status == "False""#, true),
            (r#".status.conditions[5].type // "none" == "none""#, true),
            (r#"if .spec.replicas > 2 then .status.availableReplicas / 3 == 1 else false end"#, true),
            (r#".status.phase | ascii_downcase | split("n") | first == "ru""#, true),
            (".status.loadBalancer.ingress[0].ip", false),
            (". == null", false),
            ("empty", false),
        ] {
            assert_eq!(Expression::parse(text).unwrap().holds(&object), Ok(holds), "{text}");
        }
        assert_eq!(Expression::parse(". == null").unwrap().holds("null"), Ok(true));
        for text in [".spec[]", ".a |= 1", r#"{} | has(1)"#, r#""a" + 1"#, r#"error("no")"#] {
            assert!(Expression::parse(text).unwrap().holds("null").is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told() {
        for (text, part) in [
            ("", "no jq expression: expected term, and there is the end"),
            (".a ==", "no jq expression: expected term, and there is the end"),
            (".a = = 1", "no jq expression: expected term, and there is `=`"),
            ("any(.a", "no jq expression: expected closing parenthesis, and there is the end"),
            (".a == 'b'", "no jq expression: expected token, and there is `'b'`"),
            (".a .b)", "no jq expression: expected"),
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
