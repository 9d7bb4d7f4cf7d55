//! Chat templates, set up as `transformers.utils.chat_template_utils` sets Jinja up, without its file access.
use std::io;

use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use crate::python;

/// Instructions a rendering may take. A long chat takes some thousands.
const FUEL: u64 = 10_000_000;
/// Bytes a rendering may write.
const OUTPUT_BYTES: usize = 64 << 20;
const TEMPLATE_NAME: &str = "chat";

pub struct ChatTemplate {
    environment: Environment<'static>,
}

pub enum RenderError {
    /// The template called raise_exception with this message.
    Raised(String),
    Failed(String),
}

impl ChatTemplate {
    pub fn compile(source: &str) -> Result<ChatTemplate, String> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(50);
        environment.set_formatter(python::write_value);
        environment.set_unknown_method_callback(python::call_method);
        environment.add_filter("tojson", python::tojson);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(Raised(message)))
        });
        environment
            .add_template_owned(TEMPLATE_NAME, without_generation_tags(source))
            .map_err(|error| describe(&error))?;
        Ok(ChatTemplate { environment })
    }

    /// Renders with `context`, a JSON object. `now` is what strftime_now formats, in seconds since the epoch (UTC).
    pub fn render(&self, context: &[u8], now: i64) -> Result<String, RenderError> {
        let context: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(context).map_err(|error| RenderError::Failed(error.to_string()))?;
        let mut variables: std::collections::BTreeMap<String, Value> =
            context.into_iter().map(|(name, value)| (name, Value::from_serialize(value))).collect();
        variables
            .insert("strftime_now".into(), Value::from_function(move |format: String| python::strftime(&format, now)));
        let template = self.environment.get_template(TEMPLATE_NAME).map_err(|error| failure(&error))?;
        let mut output = LimitedOutput(Vec::new());
        template.render_captured_to(Value::from(variables), &mut output).map_err(|error| failure(&error))?;
        String::from_utf8(output.0).map_err(|_| RenderError::Failed("the chat template wrote invalid UTF-8".into()))
    }
}

#[derive(Debug)]
struct Raised(String);

impl std::fmt::Display for Raised {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Raised {}

struct LimitedOutput(Vec<u8>);

impl io::Write for LimitedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES {
            return Err(io::Error::other(format!("more than {OUTPUT_BYTES} bytes of output")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failure(error: &Error) -> RenderError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(Raised(message)) = current.downcast_ref::<Raised>() {
            return RenderError::Raised(message.clone());
        }
        cause = current.source();
    }
    RenderError::Failed(describe(error))
}

fn describe(error: &Error) -> String {
    let place = error.line().map_or(String::new(), |line| format!("line {line}: "));
    let detail = error.detail().map_or(String::new(), |detail| format!(": {detail}"));
    let source = std::error::Error::source(error).map_or(String::new(), |source| format!(": {source}"));
    format!("{place}{}{detail}{source}", error.kind())
}

/// Transformers' `{% generation %}` blocks mark what the assistant said and print nothing themselves: plain blocks here.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start + 2..start + length];
        let word = tag.trim_matches(['-', '+']).trim();
        out.push_str(&rest[..start + 2]);
        match word {
            "generation" => out.push_str(&tag.replace(word, "if true")),
            "endgeneration" => out.push_str(&tag.replace(word, "endif")),
            _ => out.push_str(tag),
        }
        out.push_str("%}");
        rest = &rest[start + length + 2..];
    }
    out.push_str(rest);
    out
}
