//! Messages, their parts and items, read for what goes into a model. One pass over a body,
//! however deep parts stand in parts.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::elsewhere::is_elsewhere;
use super::input::Input;
use crate::translate::{bare, begins, carried, media_type};

/// Names of a message's or a part's wrapper, which hold a word each.
const STRUCTURE: [&str; 3] = ["role", "type", "id"];
/// Names that hold nothing of what goes in: an item without any other is known by its id.
const WRAPPER: [&str; 4] = ["role", "type", "id", "status"];
/// The longest such word in JSON; what is longer is a text.
const LONGEST_WORD: usize = 64;
/// Names under which parts or texts stand.
const CONTAINERS: [&str; 6] = ["content", "text", "parts", "output", "functionResponse", "function_response"];
/// Names under which parts stand, or a text that stands for one: an id, a link, or what it carries.
const ATTACHED: [&str; 2] = ["file", "images"];
/// Parts with a picture that may be an uploaded file.
const PICTURES: [&str; 2] = ["input_image", "computer_screenshot"];
/// How the types of what was found on the web begin: beside its text stands where that was.
const PAGES: [&str; 3] = ["web_search_", "web_fetch_", "url_citation"];
/// How the types of recordings begin that are silent in a few bytes.
const QUIET: [&str; 4] = ["audio/flac", "audio/x-flac", "audio/ogg", "audio/webm"];

/// Reads a value that holds texts or parts. A number is a token by itself. Of a message or a
/// part, the wrapper does not count; whatever else stands in it, with its name, does. A name
/// that stands there twice counts twice: nobody can say which one a provider reads.
pub(super) fn read(json: &RawValue) -> Result<Input, serde_json::Error> {
    let part = SAID.deserialize(&mut serde_json::Deserializer::from_str(json.get()))?;
    Ok(part.map(Part::input).unwrap_or_default())
}

/// Reads a field that nobody knows: its bytes, unless it stands for something else.
pub(super) fn unknown(name: &str, value: &RawValue) -> Result<Input, serde_json::Error> {
    let shown = Input::of_bytes(value.get().len());
    Ok(if is_elsewhere(name, value)? { shown.and(Input::OPEN) } else { shown })
}

/// Texts or parts under a name.
#[derive(Clone, Copy)]
struct Parts {
    /// Whether a text alone stands for something else.
    are_attached: bool,
}

/// Texts that are what they say.
const SAID: Parts = Parts { are_attached: false };

impl Parts {
    /// A text, or a token.
    fn alone(self, bytes: usize) -> Option<Part> {
        let shown = Input::of_bytes(bytes);
        let plain = if self.are_attached { shown.and(Input::OPEN) } else { shown };
        Some(Part { plain, ..Part::default() })
    }
}

impl<'de> DeserializeSeed<'de> for Parts {
    /// `None` is null, which is as if it were not there.
    type Value = Option<Part>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Part>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Parts {
    type Value = Option<Part>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<Part>, E> {
        Ok(self.alone(text.len()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<Part>, E> {
        Ok(self.alone(1))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<Part>, E> {
        Ok(self.alone(1))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<Part>, E> {
        Ok(self.alone(1))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<Part>, E> {
        Ok(self.alone(1))
    }

    fn visit_unit<E>(self) -> Result<Option<Part>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<Part>, A::Error> {
        let mut sum = Input::default();
        while let Some(item) = items.next_element_seed(self)? {
            sum = sum.and(item.map(Part::input).unwrap_or_default());
        }
        Ok(Some(Part { plain: sum, ..Part::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Option<Part>, A::Error> {
        let mut part = Part::default();
        while let Some(name) = fields.next_key::<String>()? {
            let are_attached = ATTACHED.contains(&name.as_str());
            if are_attached || CONTAINERS.contains(&name.as_str()) {
                let Some(inner) = fields.next_value_seed(Parts { are_attached })? else { continue };
                part.says_more = true;
                part.plain = part.plain.and(inner.input());
            } else if name == "source" {
                let Some(source) = fields.next_value_seed(SAID)? else { continue };
                part.says_more = true;
                part.sources.push(source);
            } else {
                let value: &RawValue = fields.next_value()?;
                if value.get() != "null" {
                    part.add(&name, value).map_err(A::Error::custom)?;
                }
            }
        }
        Ok(Some(part))
    }
}

/// A message, a part, an item or a source, as far as it is read.
#[derive(Default)]
struct Part {
    /// Of what counts the same wherever it stands.
    plain: Input,
    /// The bytes of data and of where it is, which a picture has none of.
    carried: Input,
    kinds: Vec<String>,
    media_types: Vec<String>,
    /// What stands under `url`.
    links: Vec<String>,
    /// How often a `file_id` stands there.
    files: u64,
    /// What it is depends on the part's type, which may follow.
    sources: Vec<Part>,
    has_id: bool,
    /// Whether it has more than a wrapper.
    says_more: bool,
}

impl Part {
    /// Adds a field that holds no parts.
    fn add(&mut self, name: &str, value: &RawValue) -> Result<(), serde_json::Error> {
        let length = value.get().len();
        let shown = Input::of_bytes(name.len().saturating_add(length));
        let word = || serde_json::from_str::<String>(value.get()).unwrap_or_default();
        self.has_id |= name == "id";
        self.says_more |= !WRAPPER.contains(&name);
        match name {
            "type" => self.kinds.push(word()),
            "media_type" => self.media_types.push(word()),
            "url" => self.links.push(word()),
            "file_id" => self.files = self.files.saturating_add(1),
            _ => {}
        }
        match name {
            "data" | "url" | "file_id" | "media_type" => self.carried = self.carried.and(shown),
            _ if STRUCTURE.contains(&name) && length <= LONGEST_WORD => {}
            "image_url" => self.plain = self.plain.and(picture(value, shown)),
            "inlineData" | "inline_data" | "fileData" => self.plain = self.plain.and(of_gemini(name, value, shown)),
            // Gemini's is an object, OpenAI's a text.
            "file_data" if value.get().starts_with('{') => self.plain = self.plain.and(of_gemini(name, value, shown)),
            "file_data" if carried(&bare(&word())).is_some_and(|data| begins(data, "text/")) => {
                self.plain = self.plain.and(shown);
            }
            // An object is what the model said earlier, by its id.
            "file_data" | "audio" => self.plain = self.plain.and(shown).and(Input::OPEN),
            _ => {
                let is_open = is_elsewhere(name, value)?;
                self.plain = self.plain.and(shown).and(if is_open { Input::OPEN } else { Input::default() });
            }
        }
        Ok(())
    }

    /// What goes in of it, where it is no source.
    fn input(self) -> Input {
        let is_of_page = |kind: &String| PAGES.iter().any(|page| kind.starts_with(page));
        let is_picture = self.kinds.iter().any(|kind| PICTURES.contains(&kind.as_str()));
        let has_links = !self.links.is_empty() && !self.kinds.iter().any(is_of_page);
        // Of two types nobody can say which one a provider reads.
        let is_open = self.is_reference() || self.kinds.len() > 1 || has_links || self.files > 0 && !is_picture;
        let pictures = if is_picture { self.files } else { 0 };
        let mut sum = self.plain.and(self.carried).and(Input { pictures, is_open, ..Input::default() });
        for source in self.sources {
            sum = sum.and(match self.kinds.first().map(String::as_str) {
                Some("document") => source.into_document(),
                Some("image") => source.into_picture(),
                _ => source.input(),
            });
        }
        sum
    }

    /// Whether it stands for something that the provider keeps: it says so, or has an id and
    /// nothing that goes in.
    fn is_reference(&self) -> bool {
        self.kinds.iter().any(|kind| kind == "item_reference") || self.has_id && !self.says_more
    }

    /// A document's source in Anthropic's form: only one of text shows how much it says.
    fn into_document(self) -> Input {
        let shows = matches!(self.kinds.as_slice(), [kind] if kind == "text" || kind == "content");
        let is_open = !shows || self.files > 0 || !self.links.is_empty();
        self.plain.and(self.carried).and(Input { is_open, ..Input::default() })
    }

    /// A picture's source in Anthropic's form.
    fn into_picture(self) -> Input {
        let [kind] = self.kinds.as_slice() else { return self.into_document().and(Input::PICTURE) };
        match kind.as_str() {
            "url" | "file" => {
                let is_linked = self.files > 0 || !self.links.iter().all(|link| leads_to_picture(link));
                self.plain.and(Input { is_linked, ..Input::PICTURE })
            }
            "base64" if self.is_of("image/") => self.plain.and(Input::PICTURE),
            "base64" if self.is_of("text/") => self.plain.and(self.carried).and(Input::PICTURE),
            _ => self.into_document().and(Input::PICTURE),
        }
    }

    fn is_of(&self, media_type: &str) -> bool {
        self.links.is_empty() && matches!(self.media_types.as_slice(), [one] if begins(one, media_type))
    }
}

/// A URL in an object of its own. One that stands there twice cannot be read.
#[derive(Deserialize)]
struct Linked {
    url: String,
}

/// Gemini's data, in both spellings that it reads. What stands there twice cannot be read.
#[derive(Default, Deserialize)]
struct Data {
    #[serde(rename = "mimeType", alias = "mime_type")]
    mime_type: Option<String>,
    #[serde(rename = "fileUri", alias = "file_uri")]
    uri: Option<String>,
}

/// What stands where the URL of a picture is asked for.
fn picture(value: &RawValue, shown: Input) -> Input {
    let alone = serde_json::from_str(value.get());
    let url = alone.or_else(|_| serde_json::from_str(value.get()).map(|linked: Linked| linked.url));
    let Ok(url) = url else { return shown.and(Input::PICTURE).and(Input::OPEN) };
    let url = bare(&url);
    let linked = Input { is_linked: !leads_to_picture(&url), ..Input::PICTURE };
    match carried(&url) {
        Some(data) if begins(data, "image/") => Input::PICTURE,
        Some(data) if begins(data, "text/") => shown.and(Input::PICTURE),
        Some(_) => shown.and(Input::PICTURE).and(Input::OPEN),
        None if begins(&url, "https://") || begins(&url, "http://") => linked,
        None => shown.and(linked),
    }
}

/// Whether whoever goes by a link's ending takes it for a picture.
fn leads_to_picture(url: &str) -> bool {
    media_type(url).is_some_and(|kind| kind.starts_with("image/"))
}

/// Gemini's data, whose type says what it is. A link's type it may not believe.
fn of_gemini(name: &str, value: &RawValue, shown: Input) -> Input {
    let data: Data = serde_json::from_str(value.get()).unwrap_or_default();
    let kind = data.mime_type.unwrap_or_default().to_ascii_lowercase();
    let is_inline = name.starts_with("inline");
    match kind.split('/').next() {
        Some("image") if is_inline || data.uri.as_deref().is_some_and(leads_to_picture) => Input::PICTURE,
        Some("text") if is_inline => shown,
        Some("audio") if is_inline && !QUIET.iter().any(|quiet| kind.starts_with(quiet)) => shown,
        _ => shown.and(Input::OPEN),
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
