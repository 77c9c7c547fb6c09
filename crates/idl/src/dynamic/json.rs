//! Pieces of the mapping that both directions share: integers, numbers that are none, bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::model::{Arm, Field, ItemKind, Model, Type, Union};

use super::Binary;
use super::error::Error;

/// Bytes up to this many are shown as hexadecimal digits by [`Binary::Shortest`].
const SHORT: usize = 32;

/// How many names a hint lists.
const LISTED: usize = 16;

/// What kind of JSON a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Names for a hint.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let shown = names.iter().take(LISTED).copied();
    let more = if names.len() > LISTED { ", …" } else { "" };
    shown.collect::<Vec<_>>().join(", ") + more
}

/// Refuses members that nobody asks for.
pub(crate) fn only(members: &Map<String, Value>, names: &[&str]) -> Result<(), Error> {
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(Error::new(format!("there is no {unknown:?} here"))
            .hint(format!("known are {}", listed(names.iter().copied())))),
    }
}

/// The integer that a value means: a number, digits in a string, or a constant's name.
pub(crate) fn integer(model: &Model, value: &Value) -> Option<i128> {
    number(value).or_else(|| constant(model, value.as_str()?))
}

/// The integer that a number or digits in a string mean.
pub(crate) fn number(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => digits(text),
        _ => None,
    }
}

/// A whole number that was written with a point or an exponent.
fn whole(number: f64) -> Option<i128> {
    let exact = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    exact.then_some(number as i128)
}

fn digits(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let hexadecimal = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
    let (rest, radix) = hexadecimal.map_or((rest, 10), |rest| (rest, 16));
    if !rest.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let number = i128::from_str_radix(rest, radix).ok()?;
    Some(if negative { -number } else { number })
}

fn constant(model: &Model, name: &str) -> Option<i128> {
    match &model.item(model.lookup(name)?).kind {
        ItemKind::Const(value) => Some(*value),
        _ => None,
    }
}

/// The number that a value means.
pub(crate) fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// A number as JSON.
pub(crate) fn from_double(number: f64) -> Value {
    match serde_json::Number::from_f64(number) {
        Some(finite) => Value::Number(finite),
        None if number.is_nan() => json!("NaN"),
        None if number > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

/// A single-precision number as JSON, with as few digits as tell it from its neighbours.
pub(crate) fn from_single(number: f32) -> Value {
    let shortest = number.to_string().parse();
    from_double(match number.is_finite() {
        true => shortest.unwrap_or(f64::from(number)),
        false => f64::from(number),
    })
}

/// The bits of a quadruple as JSON.
pub(crate) fn from_quadruple(bits: u128) -> Value {
    json!(format!("0x{bits:032x}"))
}

/// The bits of a quadruple.
pub(crate) fn quadruple(value: &Value) -> Option<u128> {
    let text = value.as_str()?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    (digits.len() == 32 && plain).then(|| u128::from_str_radix(digits, 16).ok())?
}

/// Bytes as JSON.
pub(crate) fn from_bytes(bytes: &[u8], binary: Binary) -> Value {
    let short = bytes.len() <= SHORT;
    match binary {
        Binary::Hex => json!({ "$hex": hex(bytes) }),
        Binary::Shortest if short => json!({ "$hex": hex(bytes) }),
        _ => json!({ "$base64": STANDARD.encode(bytes) }),
    }
}

/// The bytes that a value means; `None` if it is nothing of that kind.
pub(crate) fn bytes(value: &Value) -> Option<Result<Vec<u8>, Error>> {
    let Value::Object(members) = value else {
        return None;
    };
    if members.len() != 1 {
        return None;
    }
    if let Some(text) = members.get("$base64") {
        let text = text.as_str().unwrap_or("?");
        let decoded = STANDARD.decode(text);
        return Some(decoded.map_err(|error| Error::new(format!("not base64: {error}"))));
    }
    let text = members.get("$hex")?.as_str().unwrap_or("?");
    Some(unhex(text).ok_or_else(|| {
        Error::new("not hexadecimal").hint("write two digits 0-9 a-f for each byte")
    }))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| high << 4 | low);
    rest.is_empty().then(|| bytes.collect())
}

/// Whether values of the type may be `null` in JSON.
pub(crate) fn may_be_null(model: &Model, ty: &Type) -> bool {
    matches!(model.resolve(ty), Type::Optional(_) | Type::Void)
}

/// The arm that a discriminant chooses.
pub(crate) fn arm(it: &Union, chosen: i64) -> Option<&Arm> {
    let mut arms = it.arms.iter();
    arms.find(|arm| arm.cases.iter().any(|case| case.value == chosen))
        .or(it.default.as_ref())
}

/// The name under which a union's arm stands beside its discriminant.
pub(crate) fn arm_name<'a>(it: &Union, field: &'a Field) -> &'a str {
    match field.name == it.discriminant.name {
        true => "$value",
        false => &field.name,
    }
}
