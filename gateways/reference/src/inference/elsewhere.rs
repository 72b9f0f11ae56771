//! What stands for something that is kept elsewhere: a link, or an id. A provider puts what it
//! stands for before its model, and a body does not show how long that is.
//!
//! What nobody knows yet is taken for such by its name or its value. Known by name is only what
//! says something by itself, so that a provider's next word for a document fails closed.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::translate::{bare, begins, carried};

/// Texts, ids that join the parts of a conversation, and what callers and earlier answers made:
/// a link in these is a text, and nothing is put in its place.
const SAID: [&str; 57] = [
    // A message, a part or an item
    "name",
    "title",
    "filename",
    "context",
    "refusal",
    "thinking",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "signature",
    "thoughtSignature",
    "thought_signature",
    "encrypted_content",
    "annotations",
    "citations",
    "logprobs",
    "error",
    "result",
    "results",
    "queries",
    // A call, and what came of it
    "tool_calls",
    "tool_call_id",
    "call_id",
    "tool_use_id",
    "approval_request_id",
    "container_id",
    "caller",
    "function_call",
    "functionCall",
    "arguments",
    "args",
    "input",
    "response",
    "action",
    "operation",
    "code",
    "toolCall",
    "tool_call",
    "toolResponse",
    "tool_response",
    // Beside the conversation: schemas, texts to draw on, and how to write an answer. What tools
    // of the provider's read is bounded by their uses.
    "tools",
    "functions",
    "tool_choice",
    "toolConfig",
    "tool_config",
    "mcp_servers",
    "web_search_options",
    "response_format",
    "output_config",
    "output_format",
    "documents",
    "text",
    "structured_outputs",
    "guided_json",
    "json_schema",
    "request_id",
    "trace_id",
];
/// Names of links and ids, alone and at the end of longer names.
const REFERENCES: [&str; 3] = ["url", "uri", "uuid"];
const ENDINGS: [&str; 12] = ["_url", "_uri", "_id", "_uuid", "Url", "Uri", "Id", "Uuid", "URL", "URI", "ID", "UUID"];

/// Whether a field stands for something that is kept elsewhere.
pub(super) fn is_elsewhere(name: &str, value: &RawValue) -> Result<bool, serde_json::Error> {
    if SAID.contains(&name) {
        return Ok(false);
    }
    Under { reference: is_reference(name) }.deserialize(&mut serde_json::Deserializer::from_str(value.get()))
}

fn is_reference(name: &str) -> bool {
    let one = name.strip_suffix('s').unwrap_or(name);
    REFERENCES.contains(&one) || ENDINGS.iter().any(|ending| one.ends_with(ending))
}

/// Whether a text is a link and nothing else, as RFC 3986 writes it, with what readers of links take
/// from it. One that carries what it leads to is as long as it is where that is text.
fn is_link(text: &str) -> bool {
    let link = bare(text);
    let leads = |(scheme, _): (&str, &str)| {
        let mut letters = scheme.bytes();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|letter| letter.is_ascii_alphanumeric() || b"+-.".contains(&letter))
    };
    let carries_more = carried(&link).is_some_and(|rest| !begins(rest, "text/"));
    carries_more || link.split_once("://").is_some_and(leads) && !link.contains(char::is_whitespace)
}

/// A value under a name.
#[derive(Clone, Copy)]
struct Under {
    /// Whether that is the name of a link or an id.
    reference: bool,
}

impl<'de> DeserializeSeed<'de> for Under {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Under {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(self.reference || is_link(text))
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(self.reference)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(self.reference)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(self.reference)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(item) = items.next_element_seed(self)? {
            found |= item;
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<bool, A::Error> {
        let mut found = self.reference;
        let mut names = 0_usize;
        let mut has_id = false;
        while let Some(name) = fields.next_key::<String>()? {
            names += 1;
            has_id |= name == "id";
            if SAID.contains(&name.as_str()) {
                fields.next_value::<IgnoredAny>()?;
            } else {
                found |= fields.next_value_seed(Under { reference: is_reference(&name) })?;
            }
        }
        Ok(found || has_id && names == 1)
    }
}
