//! What goes into a model, as far as a body shows it: texts, pictures, and what has no length
//! there.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::ApiBase;

/// Names of a message's or a part's wrapper, which hold a word each.
const STRUCTURE: [&str; 3] = ["role", "type", "id"];
/// Names that hold nothing of what goes in: an item without any other is known by its id.
const WRAPPER: [&str; 4] = ["role", "type", "id", "status"];
/// The longest such word in JSON; what is longer is a text.
const LONGEST_WORD: usize = 64;
/// Names under which parts or texts stand.
const CONTAINERS: [&str; 7] = ["content", "text", "parts", "output", "file", "functionResponse", "function_response"];
/// The most tokens that Anthropic counts for a picture, at the resolution that Opus 4.7 reads.
const PICTURE_OF_ANTHROPIC: u64 = 4_784;
/// And the most of all that are known: gpt-4o-mini's eight tiles, 2833 + 8 × 5667.
const PICTURE: u64 = 48_169;
/// No model of a provider that is known reads more at once.
const WINDOW: u64 = 2_097_152;

/// What goes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    /// Of text; no tokenizer makes more tokens than bytes.
    pub(crate) bytes: u64,
    /// Their tokens do not depend on their bytes.
    pub(crate) pictures: u64,
    /// Whether it has something whose length it does not show: a document, a film, an uploaded
    /// file, a conversation that the provider keeps.
    pub(crate) is_open: bool,
}

impl Input {
    pub(crate) fn of_bytes(bytes: usize) -> Input {
        Input { bytes: saturated(bytes), ..Input::default() }
    }

    /// Something whose length is not shown, beside its own bytes.
    pub(crate) fn open(bytes: usize) -> Input {
        Input { is_open: true, ..Input::of_bytes(bytes) }
    }

    const ONE_PICTURE: Input = Input { bytes: 0, pictures: 1, is_open: false };

    pub(crate) fn and(self, other: Input) -> Input {
        Input {
            bytes: self.bytes.saturating_add(other.bytes),
            pictures: self.pictures.saturating_add(other.pictures),
            is_open: self.is_open || other.is_open,
        }
    }

    /// The most tokens that a provider can count for it. `window` is the most that its model
    /// reads at once, where that is known; in each of `rounds` it reads all that again, with
    /// what a tool has found.
    pub(crate) fn most_tokens(self, api: ApiBase, window: Option<u64>, rounds: u64) -> u64 {
        let picture = if api == ApiBase::Anthropic { PICTURE_OF_ANTHROPIC } else { PICTURE };
        let shown = self.bytes.saturating_add(self.pictures.saturating_mul(picture));
        let whole = shown.max(window.unwrap_or(WINDOW));
        let first = if self.is_open { whole } else { shown };
        first.saturating_add(whole.saturating_mul(rounds))
    }
}

/// Reads a value that holds texts or parts. A number is a token by itself. Of a message or a
/// part, the wrapper does not count; whatever else stands in it, with its name, does. A name
/// that stands there twice counts twice: nobody can say which one a provider reads.
pub(super) fn read(json: &RawValue) -> Result<Input, serde_json::Error> {
    Texts.deserialize(&mut serde_json::Deserializer::from_str(json.get()))
}

struct Texts;

impl<'de> DeserializeSeed<'de> for Texts {
    type Value = Input;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Input, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts {
    type Value = Input;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Input, E> {
        Ok(Input::of_bytes(text.len()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Input, E> {
        Ok(Input::of_bytes(1))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Input, E> {
        Ok(Input::of_bytes(1))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Input, E> {
        Ok(Input::of_bytes(1))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Input, E> {
        Ok(Input::of_bytes(1))
    }

    fn visit_unit<E>(self) -> Result<Input, E> {
        Ok(Input::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Input, A::Error> {
        let mut sum = Input::default();
        while let Some(item) = items.next_element_seed(Texts)? {
            sum = sum.and(item);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Input, A::Error> {
        let mut part = Part::default();
        while let Some(field) = fields.next_entry::<String, &RawValue>()? {
            part.0.push(field);
        }
        part.input().map_err(A::Error::custom)
    }
}

/// The fields of a message, a part or an item.
#[derive(Default)]
struct Part<'a>(Vec<(String, &'a RawValue)>);

impl Part<'_> {
    fn input(&self) -> Result<Input, serde_json::Error> {
        let mut sum = Input { is_open: self.is_reference(), ..Input::default() };
        for (name, value) in self.0.iter().filter(|(_, value)| value.get() != "null") {
            sum = sum.and(self.field(name, value)?);
        }
        Ok(sum)
    }

    /// Whether it stands for something that the provider keeps: it says so, or has an id and
    /// nothing that goes in.
    fn is_reference(&self) -> bool {
        let mut said = self.0.iter().filter(|(_, value)| value.get() != "null").map(|(name, _)| name.as_str());
        let has_id = said.clone().any(|name| name == "id");
        self.is("item_reference") || has_id && said.all(|name| WRAPPER.contains(&name))
    }

    fn field(&self, name: &str, value: &RawValue) -> Result<Input, serde_json::Error> {
        let length = value.get().len();
        let as_text = Input::of_bytes(name.len().saturating_add(length));
        Ok(match name {
            _ if CONTAINERS.contains(&name) => read(value)?,
            _ if STRUCTURE.contains(&name) && length <= LONGEST_WORD => Input::default(),
            "image_url" if is_picture(url(value).as_deref()) => Input::ONE_PICTURE,
            "image_url" => as_text.and(Input::ONE_PICTURE),
            "source" if self.is("document") => document(value)?.and(as_text),
            "source" if self.is("image") && is_picture_source(value) => Input::ONE_PICTURE,
            "source" if self.is("image") => as_text.and(Input::ONE_PICTURE),
            "inlineData" | "inline_data" | "fileData" => of_gemini(name, value, as_text),
            // Gemini's is an object, OpenAI's a text.
            "file_data" if value.get().starts_with('{') => of_gemini(name, value, as_text),
            "file_data" if url(value).is_some_and(|url| url.starts_with("data:text/")) => as_text,
            "file_id" if self.is("input_image") || self.is("computer_screenshot") => Input::ONE_PICTURE,
            // What the model said earlier, by its id.
            "audio" if value.get().starts_with('{') => Input::open(length).and(as_text),
            "file_data" | "file_id" | "file_url" | "video_url" => Input::open(length).and(as_text),
            _ => as_text,
        })
    }

    fn is(&self, kind: &str) -> bool {
        self.0.iter().any(|(name, value)| name == "type" && word(value).as_deref() == Some(kind))
    }
}

fn word(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A URL, alone or in an object of its own.
fn url(value: &RawValue) -> Option<String> {
    word(value).or_else(|| in_object(value, &["url"]))
}

fn in_object(value: &RawValue, names: &[&str]) -> Option<String> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(value.get()).ok()?;
    names.iter().find_map(|name| fields.get(*name)?.as_str()).map(str::to_owned)
}

/// Whether a URL can only be that of a picture, where one is asked for.
fn is_picture(url: Option<&str>) -> bool {
    let schemes = ["https://", "http://", "data:image/"];
    url.is_some_and(|url| schemes.iter().any(|scheme| url.starts_with(scheme)))
}

/// The same of a picture's source in Anthropic's form.
fn is_picture_source(source: &RawValue) -> bool {
    match in_object(source, &["type"]).as_deref() {
        Some("url" | "file") => true,
        Some("base64") => in_object(source, &["media_type"]).is_some_and(|kind| kind.starts_with("image/")),
        _ => false,
    }
}

/// A document's source in Anthropic's form: only one of text shows how much it says.
fn document(source: &RawValue) -> Result<Input, serde_json::Error> {
    Ok(match in_object(source, &["type"]).as_deref() {
        Some("text") => Input::default(),
        Some("content") => read(source)?,
        _ => Input::open(0),
    })
}

/// Gemini's data, whose type says what it is.
fn of_gemini(name: &str, value: &RawValue, as_text: Input) -> Input {
    let kind = in_object(value, &["mimeType", "mime_type"]).unwrap_or_default();
    match kind.split('/').next() {
        Some("image") => Input::ONE_PICTURE,
        Some("text" | "audio") if name.starts_with("inline") => as_text,
        _ => as_text.and(Input::open(0)),
    }
}

fn saturated(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use serde_json::{Value, json};

    fn of(part: &Value) -> Input {
        read(&RawValue::from_string(json!([part]).to_string()).unwrap()).unwrap()
    }

    #[test]
    fn a_picture_is_one_wherever_it_stands_and_however_large_it_is() {
        let data = "A".repeat(10_000);
        let url = format!("data:image/png;base64,{data}");
        let source = json!({"type": "base64", "media_type": "image/png", "data": data});
        for part in [
            json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}}),
            json!({"type": "image_url", "image_url": {"url": url}}),
            json!({"type": "input_image", "image_url": url}),
            json!({"type": "input_image", "file_id": "file-1"}),
            json!({"type": "image", "source": source}),
            json!({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}),
            json!({"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "file-1"}}]}),
            json!({"type": "tool_result", "content": [{"type": "image", "source": source}]}),
            json!({"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": source}]}}),
            json!({"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": url}}),
            json!({"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}),
            json!({"parts": [{"file_data": {"mime_type": "image/png", "file_uri": "https://example.com/a.png"}}]}),
            json!({"functionResponse": {"parts": [{"inline_data": {"mime_type": "image/png", "data": data}}]}}),
        ] {
            let input = of(&part);
            assert_eq!((input.pictures, input.is_open), (1, false), "{part}");
            assert!(input.bytes < 30_000, "{part}");
        }
    }

    #[test]
    fn what_only_calls_itself_a_picture_counts_its_bytes_too() {
        let text = "x".repeat(1_000);
        for part in [
            json!({"type": "image_url", "image_url": {"url": format!("data:text/plain;base64,{text}")}}),
            json!({"type": "image_url", "image_url": text}),
            json!({"type": "image", "source": {"type": "text", "data": text}}),
            json!({"type": "image", "source": {"type": "base64", "media_type": "text/plain", "data": text}}),
        ] {
            let input = of(&part);
            assert!(input.bytes >= 1_000 && input.pictures == 1, "{part}");
        }
    }

    #[test]
    fn what_does_not_show_its_length_is_open() {
        for part in [
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
            json!({"type": "file", "file": {"file_id": "file-1"}}),
            json!({"type": "input_file", "file_url": "https://example.com/a.pdf"}),
            json!({"type": "item_reference", "id": "msg_1"}),
            json!({"id": "msg_1"}),
            json!({"id": "msg_1", "type": null}),
            json!({"type": "image_generation_call", "id": "ig_1", "status": "completed"}),
            json!({"role": "assistant", "audio": {"id": "audio_1"}}),
            json!({"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}),
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}),
            json!({"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}),
            json!({"type": "container_upload", "file_id": "file-1"}),
            json!({"parts": [{"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}]}),
            json!({"parts": [{"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.com/a"}}]}),
            json!({"parts": [{"fileData": {"fileUri": "https://example.com/a"}}]}),
        ] {
            assert!(of(&part).is_open, "{part}");
        }
    }

    #[test]
    fn what_says_something_beside_its_id_shows_its_length() {
        for part in [
            json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []}),
            json!({"type": "function_call", "id": "fc_1", "call_id": "t1", "name": "f", "arguments": "{}"}),
            json!({"parts": [{"functionResponse": {"id": "1", "name": "f", "response": {}}}]}),
            json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}}),
            json!({"role": "assistant", "content": "a", "audio": null}),
        ] {
            assert!(!of(&part).is_open, "{part}");
        }
    }

    #[test]
    fn a_document_of_text_and_a_recording_count_their_bytes() {
        let data = "x".repeat(1_000);
        for part in [
            json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": data}}),
            json!({"type": "file", "file": {"file_data": format!("data:text/plain;base64,{data}")}}),
            json!({"type": "input_audio", "input_audio": {"format": "wav", "data": data}}),
            json!({"parts": [{"inlineData": {"mimeType": "audio/wav", "data": data}}]}),
        ] {
            let input = of(&part);
            assert!(input.bytes >= 1_000 && input.bytes < 1_200, "{part}");
            assert_eq!((input.pictures, input.is_open), (0, false), "{part}");
        }
    }

    #[test]
    fn an_open_input_is_a_models_window_and_never_less_than_what_is_shown() {
        let open = Input { bytes: 100, pictures: 1, is_open: true };
        assert_eq!(open.most_tokens(ApiBase::Anthropic, Some(200_000), 0), 200_000);
        assert_eq!(open.most_tokens(ApiBase::OpenAi, Some(1_000), 0), 100 + PICTURE);
        assert_eq!(open.most_tokens(ApiBase::Gemini, None, 0), WINDOW);
        let shown = Input { is_open: false, ..open };
        assert_eq!(shown.most_tokens(ApiBase::Anthropic, Some(1_000), 0), 100 + PICTURE_OF_ANTHROPIC);
        let again = shown.most_tokens(ApiBase::Anthropic, Some(200_000), 2);
        assert_eq!(again, 100 + PICTURE_OF_ANTHROPIC + 2 * 200_000);
    }
}
