//! `wait`.

use std::time::Duration;

use claiflow_sdk::{
    Context, Error, clock, command,
    kubernetes::{Api, Query, Watching},
    task,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{duration::Time, expression::Expression, json::Json, target, watch::time};

const TIME: Duration = Duration::from_secs(60);
/// As long as this may pass before a stop is noticed.
const PIECE: Duration = Duration::from_secs(2);
/// Between two looks, where the plugin may not watch.
const PAUSE: Duration = Duration::from_secs(2);

/// Until when to wait for what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    #[schemars(length(min = 1))]
    name: String,
    namespace: Option<String>,
    /// A jq expression over the object, which is `null` while there is none: `.status.phase == "Running"`, `. == null`.
    #[schemars(length(min = 1))]
    until: String,
    /// Absent: 60 s. The call's own limit may be less.
    timeout: Option<Time>,
    /// Only these fields of the object; `until` sees nothing else.
    #[serde(default)]
    fields: Vec<String>,
}

/// Waits until a jq expression holds for an object; answers the object.
///
/// It watches the object or, where it may only get it, looks every two seconds. `timeout` where it did not come true in time.
#[command(pattern = "kubernetes.{resource}.wait.{version+}", effect = "read")]
pub fn wait(inputs: Wait, context: &Context) -> Result<Json, Error> {
    let until = Expression::parse(&inputs.until)?;
    let api: Api<Json> = target::place(context, inputs.namespace.as_deref())?;
    let query = Query::new().fields(inputs.fields.iter().map(String::as_str));
    let wanted = inputs.timeout.map_or(TIME, |time| time.0);
    let allowed = time(wanted);
    let mut waiting = Waiting { until, api, name: inputs.name, query, end: clock::monotonic() + allowed, met: None };
    if let Some(object) = waiting.wait()? {
        return Ok(object);
    }
    let Waiting { name, met, .. } = waiting;
    let mut message = format!("`{name}` did not come to `{}` within {} s", inputs.until, allowed.as_secs());
    if allowed < wanted {
        let limit = "the call has no more time: raise the plugin's `limits: {wall: …}` in the grants file, or the run's timeout";
        message.push_str(&format!(" of the {} s; {limit}", wanted.as_secs()));
    }
    if let Some(met) = met {
        message.push_str(&format!("; at last: {met}"));
    }
    Err(Error::timeout(message))
}

struct Waiting {
    until: Expression,
    api: Api<Json>,
    name: String,
    query: Query,
    /// Of the monotonic clock.
    end: Duration,
    /// What stood in the way the last time: the expression or the API server.
    met: Option<String>,
}

impl Waiting {
    /// The object for which the expression holds, or none in time.
    fn wait(&mut self) -> Result<Option<Json>, Error> {
        let mut may_watch = true;
        while !self.left().is_zero() {
            let found = match self.api.find(&self.name, &self.query) {
                Ok(found) => found.unwrap_or_else(|| Value::Null.into()),
                // An API server that starts anew is one of the things that are waited for.
                Err(error) if error.may_pass_later() => {
                    self.met = Some(error.message().to_owned());
                    self.pause()?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.holds(&found) {
                return Ok(Some(found));
            }
            if may_watch {
                match self.api.watch(&self.changes(&found)) {
                    Ok(watching) => match self.follow(watching)? {
                        Some(object) => return Ok(Some(object)),
                        None => continue,
                    },
                    Err(error) if error.code() == "stopped" => return Err(error),
                    Err(error) => may_watch = error.may_pass_later() || error.code() == "gone",
                }
            }
            self.pause()?;
        }
        Ok(None)
    }

    /// Looks at each change. None when the time is over or the watch: then the object is to be read anew.
    fn follow(&mut self, watching: Watching<Json>) -> Result<Option<Json>, Error> {
        let mut watching = watching;
        while !self.left().is_zero() {
            task::keep_going()?;
            let events = match watching.next(self.left().min(PIECE)) {
                Ok(events) => events,
                Err(error) if error.may_pass_later() || error.code() == "gone" => {
                    self.met = Some(error.message().to_owned());
                    self.pause()?;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            for event in events {
                let object = match event.what.as_str() {
                    "ADDED" | "MODIFIED" => event.object,
                    "DELETED" => Value::Null.into(),
                    _ => continue,
                };
                if self.holds(&object) {
                    return Ok(Some(object));
                }
            }
        }
        Ok(None)
    }

    fn holds(&mut self, object: &Json) -> bool {
        match self.until.holds(object.get()) {
            Ok(holds) => {
                self.met = None;
                holds
            }
            // A field that is not there yet may come.
            Err(met) => {
                self.met = Some(met);
                false
            }
        }
    }

    /// Changes of this object behind what was seen.
    fn changes(&self, seen: &Json) -> Query {
        #[derive(Deserialize)]
        struct Versioned {
            metadata: Version,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            resource_version: String,
        }
        let changes = self.query.clone().field_selector(format!("metadata.name={}", self.name));
        match serde_json::from_str::<Versioned>(seen.get()) {
            Ok(Versioned { metadata }) => changes.since(metadata.resource_version),
            Err(_) => changes,
        }
    }

    fn left(&self) -> Duration {
        self.end.saturating_sub(clock::monotonic())
    }

    fn pause(&self) -> Result<(), Error> {
        task::sleep(self.left().min(PAUSE))
    }
}
