//! The three commands of the first templates, and one that shows the running task.

use std::time::Duration;

use claiflow_sdk::{Context, Error, command, log, task};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value, json};

claiflow_sdk::plugin! { name: "example", commands: [helloworld, math_pow, swap, count] }

/// Whom to greet.
#[derive(Deserialize, JsonSchema)]
pub struct Hello {
    name: String,
}

/// Greets: `hello <name>`.
#[command("helloworld", effect = "read", summary = "Greets")]
pub fn helloworld(req: Hello) -> Result<String, Error> {
    Ok(format!("hello {}", req.name))
}

/// Base and exponent.
#[derive(Deserialize, JsonSchema)]
pub struct Pow {
    x: f64,
    y: f64,
}

/// x to the power y.
///
/// Integral results print in full digits up to 1e20, with an exponent from 1e21 on.
#[command("math_pow", effect = "read")]
pub fn math_pow(req: Pow) -> Result<Value, Error> {
    let result = req.x.powf(req.y);
    if !result.is_finite() {
        return Err(Error::failed(format!("{} to the power {} is not a finite number", req.x, req.y)));
    }
    let text = if result.abs() >= 1e21 {
        let text = format!("{result:e}");
        text.replacen('e', "e+", 1)
    } else {
        // `{}` prints a float in its shortest digits, without a fraction where it has none.
        if result == 0.0 { "0".to_owned() } else { format!("{result}") }
    };
    text.parse::<Number>().map(Value::Number).map_err(|error| Error::failed(error.to_string()))
}

/// Two values of any type.
#[derive(Deserialize, JsonSchema)]
pub struct Swap {
    param1: Value,
    param2: Value,
}

/// The same, the other way round.
#[derive(Serialize, JsonSchema)]
pub struct Swapped {
    value1: Value,
    value2: Value,
}

/// Gives its two values in the other order.
///
/// `value1` is `param2`, `value2` is `param1`.
#[command("swap_command", effect = "read")]
pub fn swap(req: Swap) -> Result<Swapped, Error> {
    Ok(Swapped { value1: req.param2, value2: req.param1 })
}

/// How far, and how long each step takes: 1 ms where nothing is said.
#[derive(Deserialize, JsonSchema)]
pub struct Count {
    #[schemars(range(min = 1, max = 100))]
    to: u32,
    #[serde(default = "one")]
    #[schemars(range(max = 1000))]
    pause_ms: u64,
}

fn one() -> u64 {
    1
}

/// Counts, and says so on the way.
#[command("count", effect = "idempotent")]
pub fn count(req: Count, context: &Context) -> Result<u32, Error> {
    for done in 1..=req.to {
        task::sleep(Duration::from_millis(req.pause_ms))?;
        task::progress(done.into(), req.to.into(), format_args!("{done} of {}", req.to));
    }
    task::note(&json!({"counted": req.to}))?;
    log::info("counted", &[("to", &req.to), ("attempt", &context.attempt)]);
    Ok(req.to)
}

#[cfg(test)]
mod tests {
    use super::PLUGIN;
    use claiflow_sdk::{Context, testing::Host};
    use serde_json::json;

    fn run(command: &str, inputs: &str) -> Result<String, String> {
        let output = PLUGIN.run(command, serde_json::from_str(inputs).unwrap());
        output.map(|output| output.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_command_gives_what_its_page_says() {
        for (command, inputs, expected) in [
            ("helloworld", r#"{"name":"world"}"#, r#""hello world""#),
            ("math_pow", r#"{"x":3,"y":2}"#, "9"),
            ("math_pow", r#"{"x":2,"y":0.5}"#, "1.4142135623730951"),
            ("math_pow", r#"{"x":10,"y":20}"#, "100000000000000000000"),
            ("math_pow", r#"{"x":10,"y":21}"#, "1e+21"),
            ("swap_command", r#"{"param1":"foo","param2":[1]}"#, r#"{"value1":[1],"value2":"foo"}"#),
        ] {
            assert_eq!(run(command, inputs).as_deref(), Ok(expected), "{command} {inputs}");
        }
    }

    #[test]
    fn wrong_inputs_are_said() {
        for (command, inputs, part) in [
            ("helloworld", "{}", "invalid: the inputs do not fit: missing field `name`"),
            ("math_pow", r#"{"x":10,"y":1000}"#, "not a finite number"),
            ("nobody", "{}", "no command `nobody`"),
        ] {
            assert!(run(command, inputs).is_err_and(|message| message.contains(part)), "{command} {inputs}");
        }
    }

    #[test]
    fn counting_is_shown_noted_and_logged() {
        let host = Host::new();
        let mut context = Context::default();
        context.attempt = 3;
        assert_eq!(PLUGIN.run_in(&context, "count", json!({"to": 2})).unwrap(), 2);
        assert_eq!(host.progress(), [(1, 2, "1 of 2".to_owned()), (2, 2, "2 of 2".to_owned())]);
        assert_eq!(host.notes(), [json!({"counted": 2})]);
        assert_eq!((host.lines()[0].field("to"), host.lines()[0].field("attempt")), (Some("2"), Some("3")));
        host.stop("cancelled");
        assert_eq!(PLUGIN.run("count", json!({"to": 2})).unwrap_err().code(), "stopped");
    }
}
