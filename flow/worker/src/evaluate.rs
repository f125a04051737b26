//! One expression, with our own function table: nothing that reads the environment, the clock or the input stream, writes,
//! or ends the process.

use claiflow_flow::INTEGER_KEYS;
use jaq_core::{
    Compiler, Ctx, Vars, data,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::{Map, Val, read};
use serde_json::Value;

use crate::Request;

/// Output of one expression, bytes of JSON.
const OUTPUT_BYTES: usize = 1 << 20;
/// Outputs that are looked at for one that is not null.
const OUTPUTS: usize = 10_000;

const WITHHELD: &[&str] = &[
    "env",
    "halt",
    "halt_error",
    "input",
    "inputs",
    "input_line_number",
    "input_filename",
    "now",
    "localtime",
    "mktime",
    "gmtime",
    "strflocaltime",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "get_search_list",
    "repl",
];

/// The first output that is not null, or null.
///
/// # Errors
/// A sentence for the author of the expression.
pub(crate) fn evaluate(request: &Request) -> Result<Value, String> {
    let defs =
        jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).filter(|def| !WITHHELD.contains(&def.name));
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs()).filter(|fun| !WITHHELD.contains(&fun.0));
    let arena = Arena::default();
    let file = File { code: request.program.as_str(), path: () };
    let modules = Loader::new(defs).load(&arena, file).map_err(|_| "the jq expression cannot be parsed".to_owned())?;
    let names: Vec<&str> = request.variables.iter().map(|(name, _)| name.as_str()).collect();
    let filter = Compiler::default().with_funs(funs).with_global_vars(names.iter().copied()).compile(modules).map_err(
        |errors| {
            let names: Vec<String> =
                errors.iter().flat_map(|(_, errors)| errors.iter().map(|(name, _)| format!("`{name}`"))).collect();
            format!("the jq expression uses {}, which is not available", names.join(", "))
        },
    )?;
    if request.check {
        return Ok(Value::Null);
    }
    let variables: Vec<Val> = request.variables.iter().map(|(_, value)| to_val(value)).collect();
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new(variables));
    for output in filter.id.run((context, to_val(&request.input))).map(unwrap_valr).take(OUTPUTS) {
        match output {
            Ok(Val::Null) => {}
            Ok(value) => return to_json(&value),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(Value::Null)
}

/// JSON as jq sees it; iterations of a range become integer keys.
fn to_val(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Number(number) => read::parse_single(number.to_string().as_bytes()).unwrap_or_default(),
        Value::String(text) => Val::utf8_str(text.clone().into_bytes()),
        Value::Array(list) => list.iter().map(to_val).collect(),
        Value::Object(map) => {
            let mut object = Map::default();
            for (key, value) in map {
                match value {
                    Value::Array(list) if key == INTEGER_KEYS => {
                        object.extend(list.iter().enumerate().map(|(index, value)| (Val::from(index), to_val(value))));
                    }
                    _ => {
                        object.insert(Val::utf8_str(key.clone().into_bytes()), to_val(value));
                    }
                }
            }
            Val::obj(object)
        }
    }
}

fn to_json(value: &Val) -> Result<Value, String> {
    let text = value.to_string();
    if text.len() > OUTPUT_BYTES {
        return Err(format!("the output has {} bytes, an expression may give {OUTPUT_BYTES}", text.len()));
    }
    let mut value: Value = serde_json::from_str(&text).map_err(|_| {
        "the output is not JSON (a number that is infinite or NaN, or an object with keys that are not text)".to_owned()
    })?;
    integral(&mut value);
    Ok(value)
}

/// A float that is integral and below 2^53 is written as an integer: Kubernetes refuses `2.0`.
fn integral(value: &mut Value) {
    match value {
        Value::Number(number) if number.to_string().contains(['.', 'e', 'E']) => {
            if let Some(float) =
                number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0)
                && let Ok(exact) = format!("{float:.0}").parse::<i64>()
            {
                *value = exact.into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(integral),
        Value::Object(map) => map.values_mut().for_each(integral),
        _ => {}
    }
}
