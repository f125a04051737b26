//! From a template's text to a checked [`Flow`]; every mistake is told with its JSON pointer.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    machine::Limits,
    reference::{Program, Reference, read},
};

/// What is wrong with a flow, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// RFC 6901 pointer into the flow.
    pub pointer: String,
    /// What was wrong and what would be right.
    pub message: String,
}

/// Whether the text is being written now, or was stored by an earlier version or by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Unknown keys are mistakes.
    Authored,
    /// Unknown keys are warnings.
    Stored,
}

/// A validated flow.
#[derive(Debug)]
pub struct Flow {
    pub(crate) steps: Vec<Step>,
    warnings: Vec<Mistake>,
    language_level: u32,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) pointer: String,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Command { command: String, inputs: Option<Template> },
    Range { over: Template, steps: Vec<Step> },
    Print { hide: Template },
}

/// A value of the flow's text, with its references read.
#[derive(Debug)]
pub(crate) enum Template {
    Literal(Value),
    Reference { reference: Reference, pointer: String },
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
}

impl Flow {
    /// Parses and checks a flow: a JSON array of steps.
    ///
    /// # Errors
    /// All mistakes that were found, in the order of the text; never empty.
    pub fn parse(text: &str, origin: Origin) -> Result<Self, Vec<Mistake>> {
        let whole = |message: String| vec![Mistake { pointer: String::new(), message }];
        let value: Value = serde_json::from_str(text).map_err(|error| whole(format!("not JSON: {error}")))?;
        let Value::Array(list) = value else {
            return Err(whole(format!("a flow is an array of steps, this is {}", kind_of(&value))));
        };
        let mut reader = Reader { origin, mistakes: vec![], warnings: vec![], level: 0, steps: 0 };
        let mut outer = Vec::new();
        let steps = reader.list(list, "", &mut outer, 1);
        if reader.mistakes.is_empty() {
            Ok(Self { steps, warnings: reader.warnings, language_level: reader.level })
        } else {
            Err(reader.mistakes)
        }
    }

    /// What is tolerated in a stored flow but would be refused in an authored one.
    #[must_use]
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// The number of top-level steps.
    #[must_use]
    pub fn step_max(&self) -> usize {
        self.steps.len()
    }

    /// 0: only what the first version's agents understand; 1: jq expressions beyond plain references, or `$$`.
    #[must_use]
    pub fn language_level(&self) -> u32 {
        self.language_level
    }

    /// The commands that the flow calls.
    #[must_use]
    pub fn commands(&self) -> BTreeSet<String> {
        fn collect(steps: &[Step], into: &mut BTreeSet<String>) {
            for step in steps {
                match &step.kind {
                    Kind::Command { command, .. } => {
                        into.insert(command.clone());
                    }
                    Kind::Range { steps, .. } => collect(steps, into),
                    Kind::Print { .. } => {}
                }
            }
        }
        let mut all = BTreeSet::new();
        collect(&self.steps, &mut all);
        all
    }

    /// Every jq program of the flow with its pointer, for a check by the evaluator. Step ids are given as variables.
    #[must_use]
    pub fn programs(&self) -> Vec<(&str, &str, Vec<&str>)> {
        fn template<'a>(value: &'a Template, into: &mut Vec<(&'a str, &'a Program)>) {
            match value {
                Template::Reference { reference: Reference::Program(program), pointer } => {
                    into.push((pointer, program))
                }
                Template::Array(list) => list.iter().for_each(|value| template(value, into)),
                Template::Object(map) => map.iter().for_each(|(_, value)| template(value, into)),
                Template::Literal(_) | Template::Reference { .. } => {}
            }
        }
        fn collect<'a>(steps: &'a [Step], into: &mut Vec<(&'a str, &'a Program)>) {
            for step in steps {
                match &step.kind {
                    Kind::Command { inputs, .. } => inputs.iter().for_each(|value| template(value, into)),
                    Kind::Range { over, steps } => {
                        template(over, into);
                        collect(steps, into);
                    }
                    Kind::Print { hide } => template(hide, into),
                }
            }
        }
        let mut all = Vec::new();
        collect(&self.steps, &mut all);
        all.into_iter()
            .map(|(pointer, program)| {
                (pointer, program.text.as_str(), program.variables.iter().map(|(name, _)| name.as_str()).collect())
            })
            .collect()
    }
}

/// The JSON type of `value`, with its article.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

struct Reader {
    origin: Origin,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    level: u32,
    steps: usize,
}

const KEYS: &str = "`$id` with one of `$command` (and `inputs`), `$range` (and `$steps`), `$print`";

impl Reader {
    fn mistake(&mut self, pointer: &str, message: impl Into<String>) {
        self.mistakes.push(Mistake { pointer: pointer.to_owned(), message: message.into() });
    }

    /// Reads a list of steps. `scope` holds the ids that references may name; it grows by this list's ids.
    fn list(&mut self, list: Vec<Value>, pointer: &str, scope: &mut Vec<String>, depth: usize) -> Vec<Step> {
        let limits = Limits::default();
        if list.is_empty() {
            self.mistake(pointer, "there is no step; a flow and a `$steps` hold at least one");
        }
        if depth > limits.depth {
            self.mistake(pointer, format!("steps are nested deeper than {}", limits.depth));
            return vec![];
        }
        let mut ids = BTreeSet::new();
        let mut steps = Vec::new();
        for (index, value) in list.into_iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            self.steps += 1;
            if self.steps == limits.steps + 1 {
                self.mistake(&pointer, format!("a template holds at most {} steps", limits.steps));
            }
            if self.steps > limits.steps {
                break;
            }
            let Value::Object(map) = value else {
                self.mistake(&pointer, format!("a step is an object, this is {}", kind_of(&value)));
                continue;
            };
            let Some(id) = self.id(&map, &pointer, &mut ids) else { continue };
            let kind = self.kind(map, &id, &pointer, scope, depth);
            scope.push(id.clone());
            if let Some(kind) = kind {
                steps.push(Step { id, pointer, kind });
            }
        }
        steps
    }

    fn id(&mut self, map: &Map<String, Value>, pointer: &str, ids: &mut BTreeSet<String>) -> Option<String> {
        let id = match map.get("$id") {
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            Some(Value::String(_)) => {
                self.mistake(&format!("{pointer}/$id"), "`$id` is empty");
                return None;
            }
            Some(other) => {
                self.mistake(&format!("{pointer}/$id"), format!("`$id` is a string, this is {}", kind_of(other)));
                return None;
            }
            None => {
                self.mistake(pointer, "`$id` is missing");
                return None;
            }
        };
        if id == "inputs" {
            self.mistake(&format!("{pointer}/$id"), "`inputs` names the task's inputs; choose another id");
            return None;
        }
        if id.contains(['"', '\\', '/']) || id.chars().any(char::is_control) {
            self.mistake(&format!("{pointer}/$id"), "an id holds no quote, slash, backslash or control character");
            return None;
        }
        if !ids.insert(id.clone()) {
            self.mistake(&format!("{pointer}/$id"), format!("`{id}` is the id of an earlier step of this list"));
            return None;
        }
        Some(id)
    }

    fn kind(
        &mut self,
        mut map: Map<String, Value>,
        id: &str,
        at: &str,
        scope: &mut Vec<String>,
        depth: usize,
    ) -> Option<Kind> {
        map.remove("$id");
        let kind = if let Some(command) = map.remove("$command") {
            let inputs = map.remove("inputs").filter(|inputs| !inputs.is_null());
            self.command(command, inputs, at, scope)
        } else if let Some(over) = map.remove("$range") {
            self.range(over, map.remove("$steps"), id, at, scope, depth)
        } else if let Some(print) = map.remove("$print") {
            self.print(print, at, scope, depth)
        } else {
            self.mistake(at, format!("this step has no known form: a step is {KEYS}"));
            return None;
        };
        for key in map.keys() {
            let mistake = Mistake {
                pointer: format!("{at}/{}", escape(key)),
                message: format!("unknown key `{key}`: a step is {KEYS}"),
            };
            match self.origin {
                Origin::Authored => self.mistakes.push(mistake),
                Origin::Stored => self.warnings.push(mistake),
            }
        }
        kind
    }

    fn command(&mut self, command: Value, inputs: Option<Value>, at: &str, scope: &[String]) -> Option<Kind> {
        let command = match command {
            Value::String(command) if !command.is_empty() => command,
            other => {
                self.mistake(
                    &format!("{at}/$command"),
                    format!("`$command` is a command's name, this is {}", kind_of(&other)),
                );
                return None;
            }
        };
        let pointer = format!("{at}/inputs");
        let inputs = match inputs {
            None => None,
            Some(value @ Value::Object(_)) => Some(self.template(value, &pointer, scope)),
            Some(Value::String(text)) if text.starts_with('$') && !text.starts_with("$$") => {
                Some(self.template(Value::String(text), &pointer, scope))
            }
            Some(other) => {
                self.mistake(
                    &pointer,
                    format!("`inputs` is an object or a reference such as `$inputs`, this is {}", kind_of(&other)),
                );
                return None;
            }
        };
        Some(Kind::Command { command, inputs })
    }

    fn range(
        &mut self,
        over: Value,
        steps: Option<Value>,
        id: &str,
        at: &str,
        scope: &mut Vec<String>,
        depth: usize,
    ) -> Option<Kind> {
        let pointer = format!("{at}/$range");
        let over = match over {
            value @ Value::Array(_) => self.template(value, &pointer, scope),
            Value::String(text) if text.starts_with('$') && !text.starts_with("$$") => {
                self.template(Value::String(text), &pointer, scope)
            }
            other => {
                self.mistake(
                    &pointer,
                    format!("`$range` is an array or a reference to one, this is {}", kind_of(&other)),
                );
                return None;
            }
        };
        let pointer = format!("{at}/$steps");
        let Some(Value::Array(list)) = steps else {
            self.mistake(at, "`$range` needs `$steps`, an array of steps");
            return None;
        };
        let outer = scope.len();
        scope.push(id.to_owned());
        let steps = self.list(list, &pointer, scope, depth + 1);
        for inner in scope.iter().skip(outer + 1) {
            if scope.iter().take(outer + 1).any(|name| name == inner) {
                let message = format!("`{inner}` is also the id of an outer step, which `${inner}` means");
                self.warnings.push(Mistake { pointer: pointer.clone(), message });
            }
        }
        scope.truncate(outer);
        Some(Kind::Range { over, steps })
    }

    fn print(&mut self, print: Value, at: &str, scope: &[String], depth: usize) -> Option<Kind> {
        if depth > 1 {
            self.mistake(&format!("{at}/$print"), "`$print` is not allowed inside a range");
            return None;
        }
        let hide = match print {
            Value::Object(mut map) => map.remove("hide"),
            _ => None,
        };
        let pointer = format!("{at}/$print/hide");
        match hide {
            Some(Value::String(text)) if text.starts_with('$') => {
                Some(Kind::Print { hide: self.template(Value::String(text), &pointer, scope) })
            }
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                Some(Kind::Print { hide: Template::Literal(Value::Array(list)) })
            }
            _ => {
                self.mistake(
                    &pointer,
                    "`$print` needs `hide`, an array of step ids or a reference such as `$inputs.hide`",
                );
                None
            }
        }
    }

    fn template(&mut self, value: Value, pointer: &str, scope: &[String]) -> Template {
        match value {
            Value::String(text) if text.starts_with("$$") => {
                self.level = self.level.max(1);
                Template::Literal(Value::String(text.get(1..).unwrap_or_default().to_owned()))
            }
            Value::String(text) if text.starts_with('$') => {
                match read(&text, &|name| name == "inputs" || scope.iter().any(|id| id == name)) {
                    Ok(reference) => {
                        if matches!(reference, Reference::Program(_)) {
                            self.level = self.level.max(1);
                        }
                        Template::Reference { reference, pointer: pointer.to_owned() }
                    }
                    Err(message) => {
                        self.mistake(pointer, message);
                        Template::Literal(Value::Null)
                    }
                }
            }
            Value::Array(list) => fold_array(
                list.into_iter()
                    .enumerate()
                    .map(|(index, value)| self.template(value, &format!("{pointer}/{index}"), scope))
                    .collect(),
            ),
            Value::Object(map) => fold_object(
                map.into_iter()
                    .map(|(key, value)| {
                        let template = self.template(value, &format!("{pointer}/{}", escape(&key)), scope);
                        (key, template)
                    })
                    .collect(),
            ),
            other => Template::Literal(other),
        }
    }
}

/// An array without references is one literal.
fn fold_array(list: Vec<Template>) -> Template {
    if list.iter().all(|item| matches!(item, Template::Literal(_))) {
        Template::Literal(Value::Array(list.into_iter().map(literal).collect()))
    } else {
        Template::Array(list)
    }
}

fn fold_object(map: Vec<(String, Template)>) -> Template {
    if map.iter().all(|(_, item)| matches!(item, Template::Literal(_))) {
        Template::Literal(Value::Object(map.into_iter().map(|(key, item)| (key, literal(item))).collect()))
    } else {
        Template::Object(map)
    }
}

fn literal(template: Template) -> Value {
    match template {
        Template::Literal(value) => value,
        Template::Reference { .. } | Template::Array(_) | Template::Object(_) => Value::Null,
    }
}

/// One segment of an RFC 6901 pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
