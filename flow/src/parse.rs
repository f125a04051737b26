//! From a template's text to a checked [`Flow`]; every mistake is told with its JSON pointer.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    document::{escape, read_json, repeated_keys},
    flow::{Flow, Kind, Mistake, Origin, Step},
    limits::Limits,
    reference::{Reference, read},
    template::Template,
};

impl Flow {
    /// Parses and checks a flow: a JSON array of steps.
    ///
    /// # Errors
    /// All mistakes that were found, in the order of the text; never empty.
    pub fn parse(text: &str, origin: Origin) -> Result<Self, Vec<Mistake>> {
        let whole = |message: String| vec![Mistake { pointer: String::new(), message }];
        let not_json = |error: serde_json::Error| whole(format!("not JSON: {error}"));
        let repeated = repeated_keys(text).map_err(not_json)?;
        let value = read_json(text).map_err(not_json)?;
        let Value::Array(list) = value else {
            return Err(whole(format!("a flow is an array of steps, this is {}", kind_of(&value))));
        };
        let mut reader =
            Reader { origin, limits: Limits::default(), mistakes: vec![], warnings: vec![], level: 0, steps: 0 };
        for pointer in repeated {
            reader.tolerate(Mistake { pointer, message: "this key stands twice in its object".into() });
        }
        let steps = reader.list(list, "", &mut Vec::new(), Place { depth: 1, path_chars: 0 });
        if reader.mistakes.is_empty() {
            Ok(Self { steps, warnings: reader.warnings, language_level: reader.level })
        } else {
            Err(reader.mistakes)
        }
    }
}

fn is_reference(text: &str) -> bool {
    text.starts_with('$') && !text.starts_with("$$")
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
    limits: Limits,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    level: u32,
    steps: usize,
}

/// Where a list of steps stands.
#[derive(Clone, Copy)]
struct Place {
    /// 1 for the top level.
    depth: usize,
    /// The longest path of the range around it, characters.
    path_chars: usize,
}

impl Place {
    /// The longest path of a step; at the top level it is the step's index.
    fn path_of(self, index: usize, id: &str) -> usize {
        if self.depth == 1 { index.to_string().len() } else { self.path_chars + 1 + id.chars().count() }
    }

    /// The list inside of a range.
    fn inside(self, index: usize, id: &str) -> Self {
        let prefix = if self.depth == 1 { index.to_string().len() } else { self.path_chars };
        Self { depth: self.depth + 1, path_chars: prefix + 1 + id.chars().count() + "[9999]".len() }
    }
}

const KEYS: &str = "`$id` with one of `$command` (and `inputs`), `$range` (and `$steps`), `$print`";

impl Reader {
    fn mistake(&mut self, pointer: &str, message: impl Into<String>) {
        self.mistakes.push(Mistake { pointer: pointer.to_owned(), message: message.into() });
    }

    /// Refuses what is being written now, and warns of what was stored.
    fn tolerate(&mut self, mistake: Mistake) {
        match self.origin {
            Origin::Authored => self.mistakes.push(mistake),
            Origin::Stored => self.warnings.push(mistake),
        }
    }

    /// Reads a list of steps. `scope` holds the ids that references may name; it grows by this list's ids.
    fn list(&mut self, list: Vec<Value>, pointer: &str, scope: &mut Vec<String>, place: Place) -> Vec<Step> {
        let limits = self.limits.clone();
        if list.is_empty() {
            self.mistake(pointer, "there is no step; a flow and a `$steps` hold at least one");
        }
        if place.depth > limits.depth {
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
            let path_chars = place.path_of(index, &id);
            if path_chars > limits.path_chars {
                let message = format!(
                    "the path of this step has up to {path_chars} characters, {} are possible: shorten the ids",
                    limits.path_chars
                );
                self.mistake(&format!("{pointer}/$id"), message);
            }
            let kind = self.kind(map, &id, &pointer, scope, place, index);
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
        place: Place,
        index: usize,
    ) -> Option<Kind> {
        map.remove("$id");
        let kind = if let Some(command) = map.remove("$command") {
            let inputs = map.remove("inputs").filter(|inputs| !inputs.is_null());
            self.command(command, inputs, at, scope)
        } else if let Some(over) = map.remove("$range") {
            self.range(over, map.remove("$steps"), id, at, scope, place.inside(index, id))
        } else if let Some(print) = map.remove("$print") {
            self.print(print, at, scope, place)
        } else {
            self.mistake(at, format!("this step has no known form: a step is {KEYS}"));
            return None;
        };
        for key in map.keys() {
            let mistake = Mistake {
                pointer: format!("{at}/{}", escape(key)),
                message: format!("unknown key `{key}`: a step is {KEYS}"),
            };
            self.tolerate(mistake);
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
            Some(Value::String(text)) if is_reference(&text) => {
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
        inside: Place,
    ) -> Option<Kind> {
        let pointer = format!("{at}/$range");
        let over = match over {
            value @ Value::Array(_) => self.template(value, &pointer, scope),
            Value::String(text) if is_reference(&text) => self.template(Value::String(text), &pointer, scope),
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
        let steps = self.list(list, &pointer, scope, inside);
        for inner in scope.iter().skip(outer + 1) {
            if scope.iter().take(outer + 1).any(|name| name == inner) {
                let message = format!("`{inner}` is also the id of an outer step, which `${inner}` means");
                self.warnings.push(Mistake { pointer: pointer.clone(), message });
            }
        }
        scope.truncate(outer);
        Some(Kind::Range { over, steps })
    }

    fn print(&mut self, print: Value, at: &str, scope: &[String], place: Place) -> Option<Kind> {
        if place.depth > 1 {
            self.mistake(&format!("{at}/$print"), "`$print` is not allowed inside a range");
            return None;
        }
        let mut members = match print {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let hide = members.remove("hide");
        for key in members.keys() {
            let pointer = format!("{at}/$print/{}", escape(key));
            self.tolerate(Mistake { pointer, message: format!("unknown key `{key}`: `$print` has `hide` alone") });
        }
        let pointer = format!("{at}/$print/hide");
        match hide {
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                Some(Kind::Print { hide: self.template(Value::Array(list), &pointer, scope) })
            }
            Some(Value::String(text)) if is_reference(&text) => {
                Some(Kind::Print { hide: self.template(Value::String(text), &pointer, scope) })
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
                        if matches!(&reference, Reference::Program(program) if !program.is_of_the_first_version()) {
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
            Value::Array(list) => Template::array(
                list.into_iter()
                    .enumerate()
                    .map(|(index, value)| self.template(value, &format!("{pointer}/{index}"), scope))
                    .collect(),
            ),
            Value::Object(map) => Template::object(
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
