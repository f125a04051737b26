//! How numbers are written: integers stay exact at any size, and a float that is integral becomes an integer.

use serde_json::Value;

/// From here on a float no longer holds every integer.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Writes every float of `value` that is integral and below 2^53 as an integer, since Kubernetes refuses `2.0`.
pub(crate) fn write_integral(value: &mut Value) {
    match value {
        Value::Number(number) if number.as_str().contains(['.', 'e', 'E']) => {
            if let Some(float) = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT)
                && let Ok(integer) = format!("{float:.0}").parse::<i64>()
            {
                *value = integer.into();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(write_integral),
        Value::Object(map) => map.values_mut().for_each(write_integral),
        _ => {}
    }
}
