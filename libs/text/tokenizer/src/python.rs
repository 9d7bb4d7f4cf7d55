//! What chat templates expect of Python: how values print, methods of strings, json.dumps, strftime.
use minijinja::value::{from_args, Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Output, State, Value};
use serde::Serialize;

/// Prints `value` as Python's str() does.
pub fn write_value(out: &mut Output, state: &State, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Bool | ValueKind::None | ValueKind::Seq | ValueKind::Map => {
            let mut text = String::new();
            write_repr(&mut text, value)?;
            out.write_str(&text).map_err(Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

fn write_repr(out: &mut String, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::None => out.push_str("None"),
        ValueKind::String => write_string_repr(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq => {
            out.push('[');
            for (i, item) in value.try_iter()?.enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_repr(out, &item)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                write_repr(out, &key)?;
                out.push_str(": ");
                write_repr(out, &value.get_item(&key)?)?;
            }
            out.push('}');
        }
        _ => out.push_str(&value.to_string()),
    }
    Ok(())
}

fn write_string_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// Python's methods of strings, lists and dictionaries that minijinja does not have by itself.
pub fn call_method(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        match method {
            "strip" | "lstrip" | "rstrip" => return strip(text, method, args),
            "removeprefix" => {
                let (prefix,): (&str,) = from_args(args)?;
                return Ok(text.strip_prefix(prefix).unwrap_or(text).into());
            }
            "removesuffix" => {
                let (suffix,): (&str,) = from_args(args)?;
                return Ok(text.strip_suffix(suffix).unwrap_or(text).into());
            }
            "rsplit" => {
                let (separator, limit): (&str, Option<i64>) = from_args(args)?;
                return rsplit(text, separator, limit.unwrap_or(-1));
            }
            _ => {}
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
}

/// str.strip: Python counts the separators U+001C..U+001F as white space, Rust does not.
fn strip(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (set,): (Option<&str>,) = from_args(args)?;
    let drop = |c: char| match set {
        Some(set) => set.contains(c),
        None => c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c),
    };
    Ok(match method {
        "lstrip" => text.trim_start_matches(drop),
        "rstrip" => text.trim_end_matches(drop),
        _ => text.trim_matches(drop),
    }
    .into())
}

fn rsplit(text: &str, separator: &str, limit: i64) -> Result<Value, Error> {
    if separator.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "rsplit needs a separator"));
    }
    let mut parts: Vec<Value> = match usize::try_from(limit) {
        Ok(limit) => text.rsplitn(limit.saturating_add(1), separator).map(Value::from).collect(),
        Err(_) => text.rsplit(separator).map(Value::from).collect(),
    };
    parts.reverse();
    Ok(parts.into())
}

/// json.dumps(value, ensure_ascii=False, indent=...), as Transformers' own tojson filter.
pub fn tojson(value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = kwargs.get("indent")?;
    if kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false) {
        return Err(Error::new(ErrorKind::InvalidOperation, "tojson: ensure_ascii=True is not supported"));
    }
    kwargs.assert_all_used()?;
    let mut out = Vec::new();
    let result = match indent {
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, PythonFormatter)),
        Some(width) if width <= 64 => {
            let spaces = vec![b' '; width];
            let formatter = serde_json::ser::PrettyFormatter::with_indent(&spaces);
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
        }
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "tojson: indent is over 64")),
    };
    result.map_err(|_| Error::new(ErrorKind::BadSerialization, "tojson: not a JSON value"))?;
    String::from_utf8(out).map_err(|_| Error::new(ErrorKind::BadSerialization, "tojson: not UTF-8"))
}

/// json.dumps puts a space after ',' and ':'.
struct PythonFormatter;

impl serde_json::ser::Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// datetime.strftime at `seconds` since the epoch, UTC, in the C locale.
pub fn strftime(format: &str, seconds: i64) -> Result<String, Error> {
    let bad = |reason: &'static str| Error::new(ErrorKind::InvalidOperation, reason);
    let format = std::ffi::CString::new(format).map_err(|_| bad("strftime_now: the format has a NUL"))?;
    let mut out = [0u8; 256];
    // Safety: gmtime_r and strftime write only to what they are given, and the size is given.
    let length = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        if libc::gmtime_r(&seconds, &mut time).is_null() {
            return Err(bad("strftime_now: the time is out of range"));
        }
        libc::strftime(out.as_mut_ptr().cast(), out.len(), format.as_ptr(), &time)
    };
    if length == 0 && !format.is_empty() {
        return Err(bad("strftime_now: the result has more than 255 bytes"));
    }
    String::from_utf8(out[..length].to_vec()).map_err(|_| bad("strftime_now: not UTF-8"))
}
