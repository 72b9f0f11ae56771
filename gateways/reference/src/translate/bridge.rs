//! From a caller's form to a provider's and back: which functions are asked.

use serde_json::{Value, json};

use super::provider::{anthropic, gemini, openai};
use super::said::Said;
use super::{Form, TranslateError, caller};
use crate::dialect::Dialect;

/// Two forms that differ, and what else a translation has to know.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    pub(crate) caller: Form,
    pub(crate) provider: Form,
    /// The provider's name of the model.
    pub(crate) model: String,
    pub(crate) is_stream: bool,
    /// When the request was made, in Unix seconds: other protocols than OpenAI's do not tell.
    pub(crate) created: i64,
    /// Whether the caller wants embeddings as base64, once its request has been read.
    pub(crate) as_base64: bool,
    /// The provider's, where it speaks OpenAI's protocol.
    pub(crate) dialect: Dialect,
}

impl Bridge {
    /// The provider's request for the caller's.
    pub(crate) fn request(&mut self, request: &Value) -> Result<Value, TranslateError> {
        if !request.is_object() {
            return Err(TranslateError::Shape("the request"));
        }
        let mut pivot = match self.caller {
            Form::Chat | Form::Media => request.clone(),
            Form::Completions => caller::completions::to_chat(request)?,
            Form::Responses => caller::responses::to_chat(request)?,
            Form::Messages => caller::messages::to_chat(request)?,
            Form::Content => caller::gemini::to_chat(request)?,
            Form::Embeddings => request.clone(),
            Form::Embed => caller::gemini::to_embeddings(request)?,
            Form::BatchEmbed => caller::gemini::batch_to_embeddings(request)?,
        };
        pivot["model"] = json!(self.model);
        if self.caller == Form::Content && self.is_stream {
            pivot["stream"] = json!(true);
            pivot["stream_options"] = json!({ "include_usage": true });
        }
        match self.provider {
            Form::Messages => anthropic::from_chat(&pivot, &self.model),
            Form::Content => gemini::from_chat(&pivot, &self.model),
            Form::Embed | Form::BatchEmbed => {
                self.as_base64 = gemini::wants_base64(&pivot);
                gemini::from_embeddings(&pivot, &self.model)
            }
            Form::Embeddings | Form::Media => Ok(pivot),
            Form::Chat | Form::Completions | Form::Responses => openai::from_chat(pivot, self.dialect),
        }
    }

    /// The caller's answer for the provider's, which was one of success.
    pub(crate) fn answer(&self, answer: &Value) -> Result<Value, TranslateError> {
        let mut pivot = match self.provider {
            Form::Messages => anthropic::to_chat(answer)?,
            Form::Content => gemini::to_chat(answer)?,
            Form::Embed | Form::BatchEmbed => gemini::to_embeddings(answer, &self.model, self.as_base64)?,
            _ => answer.clone(),
        };
        if pivot.get("choices").or_else(|| pivot.get("data")).and_then(Value::as_array).is_none() {
            return Err(TranslateError::Shape("the provider's answer"));
        }
        if matches!(self.provider, Form::Messages | Form::Content) {
            pivot["created"] = json!(self.created);
        }
        Ok(match self.caller {
            Form::Chat | Form::Embeddings | Form::Media => pivot,
            Form::Completions => caller::completions::from_chat(&pivot, &self.model),
            Form::Responses => caller::responses::from_chat(&pivot, &self.model),
            Form::Messages => caller::messages::from_chat(&pivot, &self.model)?,
            Form::Content => caller::gemini::from_chat(&pivot, &self.model),
            Form::Embed => caller::gemini::from_embeddings(&pivot),
            Form::BatchEmbed => caller::gemini::batch_from_embeddings(&pivot),
        })
    }

    /// What turns the provider's stream into the caller's. `hides_usage`: the caller did not
    /// ask for the chunk that carries only usage.
    pub(crate) fn stream(&self, hides_usage: bool) -> Stream {
        let model = &self.model;
        Stream {
            created: self.created,
            reader: match self.provider {
                Form::Messages => Reader::Messages(Box::default()),
                Form::Content => Reader::Content(gemini::Reader::default()),
                _ => Reader::Chat,
            },
            writer: match self.caller {
                Form::Completions => Writer::Completions(caller::completions::Writer::new(model, hides_usage)),
                Form::Responses => Writer::Responses(caller::responses::Writer::new(model)),
                Form::Messages => Writer::Messages(caller::messages::Writer::new(model)),
                Form::Content => Writer::Content(caller::gemini::Writer::new(model)),
                // Embeddings are never streamed.
                Form::Chat | Form::Embeddings | Form::Embed | Form::BatchEmbed | Form::Media => {
                    Writer::Chat(caller::chat::Writer::new(hides_usage))
                }
            },
        }
    }
}

/// A stream on its way from one form to another.
#[derive(Debug)]
pub(crate) struct Stream {
    created: i64,
    reader: Reader,
    writer: Writer,
}

#[derive(Debug)]
enum Reader {
    Chat,
    Messages(Box<anthropic::Reader>),
    Content(gemini::Reader),
}

#[derive(Debug)]
enum Writer {
    Chat(caller::chat::Writer),
    Completions(caller::completions::Writer),
    Responses(caller::responses::Writer),
    Messages(caller::messages::Writer),
    Content(caller::gemini::Writer),
}

impl Stream {
    /// What one event of the provider says to the caller, possibly nothing.
    pub(crate) fn event(&mut self, event: &Value) -> Result<Vec<Said>, TranslateError> {
        let mut chunks = match &mut self.reader {
            Reader::Chat => return Ok(self.writer.chunk(event)),
            Reader::Messages(reader) => reader.read(event)?,
            Reader::Content(reader) => reader.read(event)?,
        };
        for chunk in &mut chunks {
            chunk["created"] = json!(self.created);
        }
        Ok(chunks.iter().flat_map(|chunk| self.writer.chunk(chunk)).collect())
    }

    /// What the end of the provider's whole stream says. An answer that failed, which the
    /// caller's protocol has no end for, is an error.
    pub(crate) fn end(&mut self) -> Result<Vec<Said>, TranslateError> {
        match &mut self.writer {
            Writer::Chat(writer) => Ok(writer.end()),
            Writer::Completions(writer) => Ok(writer.end()),
            Writer::Responses(writer) => Ok(writer.end()),
            Writer::Messages(writer) => writer.end(),
            Writer::Content(writer) => Ok(writer.end()),
        }
    }
}

impl Writer {
    fn chunk(&mut self, chunk: &Value) -> Vec<Said> {
        match self {
            Writer::Chat(writer) => writer.chunk(chunk),
            Writer::Completions(writer) => writer.chunk(chunk),
            Writer::Responses(writer) => writer.chunk(chunk),
            Writer::Messages(writer) => writer.chunk(chunk),
            Writer::Content(writer) => writer.chunk(chunk),
        }
    }
}
