//! One expression at a time, in the worker.

use std::collections::{HashMap, hash_map::Entry};

use jaq_core::{
    Compiler, Ctx, Vars, data,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::{Val, read};

use crate::{
    functions::{NATIVE, WITHHELD},
    message::{OUTPUT_BYTES, Request},
};

/// Outputs that are looked at for one that is not null.
const OUTPUTS: usize = 10_000;
/// Programs that are kept compiled: a range asks for the same one in each iteration.
const COMPILED: usize = 64;
/// jaq's errors quote values, which may be large.
const ERROR_CHARS: usize = 300;

type Filter = jaq_core::Filter<data::JustLut<Val>>;

/// Evaluates expressions, and remembers those that it compiled.
#[derive(Default)]
pub(crate) struct Evaluator {
    /// By program and the names of its variables.
    compiled: HashMap<(String, Vec<String>), Filter>,
}

impl Evaluator {
    /// The text of the first output that is not null, or `null`.
    ///
    /// # Errors
    /// A sentence for the author of the expression.
    pub(crate) fn evaluate(&mut self, request: &Request) -> Result<String, String> {
        let names: Vec<String> = request.variables.iter().map(|(name, _)| name.clone()).collect();
        let key = (request.program.clone(), names);
        if self.compiled.len() >= COMPILED && !self.compiled.contains_key(&key) {
            self.compiled.clear();
        }
        let filter = match self.compiled.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let filter = compile(&entry.key().0, &entry.key().1)?;
                entry.insert(filter)
            }
        };
        if request.check {
            return Ok("null".to_owned());
        }
        run(filter, request)
    }
}

fn compile(program: &str, names: &[String]) -> Result<Filter, String> {
    let defs =
        jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).filter(|def| !WITHHELD.contains(&def.name));
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs()).filter(|fun| NATIVE.contains(&fun.0));
    let arena = Arena::default();
    let modules = Loader::new(defs)
        .load(&arena, File { code: program, path: () })
        .map_err(|_| "the jq expression cannot be parsed".to_owned())?;
    let compiler = Compiler::default().with_funs(funs).with_global_vars(names.iter().map(String::as_str));
    compiler.compile(modules).map_err(|errors| {
        let unknown = errors.iter().flat_map(|(_, errors)| errors.iter().map(|(name, _)| format!("`{name}`")));
        let unknown: Vec<_> = unknown.collect();
        shortened(&format!("the jq expression uses {}, which is not available", unknown.join(", ")))
    })
}

fn run(filter: &Filter, request: &Request) -> Result<String, String> {
    let value =
        |text: &str| read::parse_single(text.as_bytes()).map_err(|error| format!("a value is not JSON: {error}"));
    let variables = request.variables.iter().map(|(_, text)| value(text)).collect::<Result<Vec<_>, _>>()?;
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new(variables));
    let outputs = filter.id.run((context, value(&request.input)?)).map(unwrap_valr);
    for output in outputs.take(OUTPUTS) {
        match output {
            Ok(Val::Null) => {}
            Ok(output) => return text(&output),
            Err(error) => return Err(shortened(&error.to_string())),
        }
    }
    Ok("null".to_owned())
}

fn text(output: &Val) -> Result<String, String> {
    let text = output.to_string();
    if text.len() > OUTPUT_BYTES {
        return Err(format!("the output has {} bytes, an expression may give {OUTPUT_BYTES}", text.len()));
    }
    Ok(text)
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(ERROR_CHARS) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}
