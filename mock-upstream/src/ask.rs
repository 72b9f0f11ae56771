//! What a request's body asks for: as much of it as decides the answer.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::route::{Route, Target};

/// The part of a request that its answer depends on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ask {
    /// The model, if the request names one.
    pub(crate) model: Option<String>,
    pub(crate) stream: bool,
    /// `stream_options.include_usage`.
    pub(crate) include_usage: bool,
    /// Whether `include` names `reasoning.encrypted_content`.
    pub(crate) encrypted_reasoning: bool,
    /// What to embed, one text a vector.
    pub(crate) inputs: Vec<String>,
    /// The length of a vector, if the request asks for one.
    pub(crate) dimensions: Option<usize>,
    /// How many images to make.
    pub(crate) images: u64,
    /// How many characters to speak.
    pub(crate) characters: u64,
    /// A transcription as its text alone.
    pub(crate) plain_text: bool,
    /// Vectors as base64 of little-endian 32-bit floats, as official clients ask by default.
    pub(crate) base64: bool,
}

/// Fields that several APIs have in common.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Common {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    /// OpenAI's list of what an answer is to hold besides.
    include: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Embeddings {
    model: Option<String>,
    input: Value,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

#[derive(Deserialize)]
struct Images {
    model: Option<String>,
    n: Option<u64>,
}

#[derive(Deserialize)]
struct Speech {
    model: Option<String>,
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EmbedContent {
    content: Value,
    output_dimensionality: Option<usize>,
}

#[derive(Deserialize)]
struct BatchEmbedContents {
    requests: Vec<EmbedContent>,
}

impl Ask {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// The sentence that says what in the body is wrong.
    pub(crate) fn read(target: &Target, body: &str) -> Result<Ask, String> {
        let mut ask = match target.route {
            Route::Models | Route::PriceSheet | Route::Other => Ask::default(),
            Route::Embeddings => parsed::<Embeddings>(body)?.into(),
            Route::Images => parsed::<Images>(body)?.into(),
            Route::Speech => parsed::<Speech>(body)?.into(),
            Route::Transcriptions => Ask::transcription(body)?,
            Route::EmbedContent if target.batch => Ask::embedding(&parsed::<BatchEmbedContents>(body)?.requests),
            Route::EmbedContent => Ask::embedding(&[parsed::<EmbedContent>(body)?]),
            Route::GenerateContent | Route::StreamGenerateContent => {
                parsed::<IgnoredAny>(body)?;
                Ask::default()
            }
            Route::CountTokens if target.model.is_some() => {
                parsed::<IgnoredAny>(body)?;
                Ask::default()
            }
            _ => parsed::<Common>(body)?.into(),
        };
        ask.stream = match target.route {
            Route::StreamGenerateContent => true,
            // It has no stream, whatever the body copied from a message says.
            Route::CountTokens => false,
            _ => ask.stream,
        };
        if target.model.is_some() {
            ask.model.clone_from(&target.model);
        }
        Ok(ask)
    }

    /// A form with a file: as much of it as decides the answer.
    fn transcription(body: &str) -> Result<Ask, String> {
        let field = |name: &str| {
            let rest = body.split_once(&format!("name=\"{name}\""))?.1;
            rest.split_once("\r\n\r\n")?.1.split("\r\n").next().map(str::to_owned)
        };
        field("file").ok_or("the body cannot be read: a form has a field `file`")?;
        let plain_text = field("response_format").as_deref() == Some("text");
        Ok(Ask { model: field("model"), plain_text, ..Ask::default() })
    }

    fn embedding(requests: &[EmbedContent]) -> Ask {
        Ask {
            dimensions: requests.first().and_then(|first| first.output_dimensionality),
            inputs: requests.iter().map(|one| one.content.to_string()).collect(),
            ..Ask::default()
        }
    }
}

impl From<Common> for Ask {
    fn from(fields: Common) -> Ask {
        Ask {
            model: fields.model,
            stream: fields.stream.unwrap_or(false),
            include_usage: fields.stream_options.and_then(|options| options.include_usage).unwrap_or(false),
            encrypted_reasoning: fields
                .include
                .as_array()
                .is_some_and(|asked| asked.iter().any(|one| one == "reasoning.encrypted_content")),
            ..Ask::default()
        }
    }
}

impl From<Images> for Ask {
    fn from(fields: Images) -> Ask {
        Ask { model: fields.model, images: fields.n.unwrap_or(1), ..Ask::default() }
    }
}

impl From<Speech> for Ask {
    fn from(fields: Speech) -> Ask {
        let characters = u64::try_from(fields.input.chars().count()).unwrap_or(u64::MAX);
        Ask { model: fields.model, characters, ..Ask::default() }
    }
}

impl From<Embeddings> for Ask {
    fn from(fields: Embeddings) -> Ask {
        // A text, texts, the tokens of one text, or the tokens of several.
        let inputs = match fields.input {
            Value::Array(several) if !several.iter().all(Value::is_number) => {
                several.iter().map(Value::to_string).collect()
            }
            one => vec![one.to_string()],
        };
        Ask {
            model: fields.model,
            inputs,
            dimensions: fields.dimensions,
            base64: fields.encoding_format.as_deref() == Some("base64"),
            ..Ask::default()
        }
    }
}

/// Of a name that stands there twice the last counts, as it does for real providers.
fn parsed<T: DeserializeOwned>(body: &str) -> Result<T, String> {
    let last_wins = serde_json::from_str::<Value>(body).and_then(serde_json::from_value);
    last_wins.map_err(|error| format!("the body cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn ask(path: &str, body: &str) -> Ask {
        Ask::read(&Target::read(false, true, path, "", false), body).unwrap()
    }

    #[test]
    fn a_chat_stream_is_read_with_its_options() {
        let ask = ask(
            "/p/v1/chat/completions",
            r#"{"model": "m", "stream": true, "stream_options": {"include_usage": true}, "more": []}"#,
        );
        assert_eq!(ask.model.as_deref(), Some("m"));
        assert!(ask.stream && ask.include_usage);
    }

    #[test]
    fn a_form_is_read_as_far_as_it_decides_the_answer() {
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let form = field("file", "bytes") + &field("model", "m") + &field("response_format", "text") + "--b--\r\n";
        let ask = ask("/p/v1/audio/transcriptions", &form);
        assert_eq!((ask.model.as_deref(), ask.plain_text), (Some("m"), true));
        let target = Target::read(false, true, "/p/v1/audio/transcriptions", "", false);
        assert!(Ask::read(&target, &field("model", "m")).is_err(), "nothing to transcribe");
    }

    #[test]
    fn one_text_or_one_list_of_tokens_is_one_input() {
        for (input, count) in [(r#""a""#, 1), (r#"["a", "b"]"#, 2), ("[1, 2, 3]", 1), ("[[1, 2], [3]]", 2)] {
            let body = format!(r#"{{"model": "m", "input": {input}}}"#);
            assert_eq!(ask("/p/embeddings", &body).inputs.len(), count, "{input}");
        }
    }

    #[test]
    fn gemini_streams_by_path_and_embeds_in_batches() {
        assert!(ask("/p/v1beta/models/m:streamGenerateContent", "{}").stream);
        let batch = r#"{"requests": [{"content": {}, "outputDimensionality": 3}, {"content": {}}]}"#;
        let ask = ask("/p/v1beta/models/m:batchEmbedContents", batch);
        assert_eq!((ask.inputs.len(), ask.dimensions), (2, Some(3)));
    }

    #[test]
    fn of_a_name_that_stands_there_twice_the_last_counts() {
        let ask = ask("/p/v1/chat/completions", r#"{"model": "a", "stream": true, "model": "b", "stream": false}"#);
        assert_eq!((ask.model.as_deref(), ask.stream), (Some("b"), false));
    }

    #[test]
    fn counting_tokens_is_no_stream() {
        let body = r#"{"model": "m", "stream": true}"#;
        assert!(ask("/p/v1/messages", body).stream);
        assert!(!ask("/p/v1/messages/count_tokens", body).stream);
    }

    #[test]
    fn a_body_that_cannot_be_read_says_why() {
        let target = Target::read(false, true, "/p/v1/messages", "", false);
        for body in ["", "{", r#"{"stream": "yes"}"#] {
            let error = Ask::read(&target, body).unwrap_err();
            assert!(error.starts_with("the body cannot be read: "), "{error}");
        }
    }
}
