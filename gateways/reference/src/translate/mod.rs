//! Between protocols: pure functions of bodies and events, without I/O.
//!
//! Where caller and provider speak the same protocol, bytes pass through and nothing
//! here is asked. Else everything goes by way of one **pivot**, an OpenAI chat
//! completion:
//!
//! ```text
//! caller's request ──caller::*::to_chat──► chat request ──provider::*::from_chat──► provider's request
//! caller's answer  ◄─caller::*::from_chat─ chat answer  ◄─provider::*::to_chat──── provider's answer
//! caller's events  ◄─caller::*::Writer──── chat chunks  ◄─provider::*::Reader───── provider's events
//! ```
//!
//! The pivot is a `serde_json::Value` in the form of OpenAI's API. Beyond that API, as
//! OpenRouter and Bifrost have it:
//!
//! | where | field | meaning |
//! |---|---|---|
//! | request | `reasoning` | `{"effort": "low"}`, `{"max_tokens": 1024}` or `{"enabled": false}`; also OpenAI's `reasoning_effort` |
//! | request | `top_k` | as in Anthropic's and Gemini's APIs |
//! | content part, tool | `cache_control` | Anthropic's, as it is |
//! | tool message | `is_error: true` | the tool failed |
//! | content part | `{"type": "file", "file": {"filename", "file_data"}}` | `file_data` is a data URL, or the URL of the document |
//! | message, delta | `reasoning`, `reasoning_content` | the thinking as text, twice the same |
//! | message, delta | `reasoning_details` | the thinking with what its provider needs to have back, see below |
//! | usage | `prompt_tokens_details.{cached_tokens, cache_write_tokens}` | parts of `prompt_tokens` |
//! | usage | `prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens` | the part of `cache_write_tokens` that is kept for an hour |
//! | usage | `completion_tokens_details.reasoning_tokens` | a part of `completion_tokens` |
//!
//! A reasoning detail is `{"type", "index", "format", …}`, with `index` its place among
//! the message's details (pieces of one detail in a stream have the same `index`):
//!
//! | `type` | fields | Anthropic's block | Gemini's part |
//! |---|---|---|---|
//! | `reasoning.text` | `text`, `signature` | `thinking` | `thought: true`, `thoughtSignature` |
//! | `reasoning.encrypted` | `data`, `id` | `redacted_thinking` | the `thoughtSignature` of the call whose id is `id`, of the text where there is no `id` |
//! | `reasoning.summary` | `summary` | none | none |
//!
//! `format` says whose it is: `anthropic-claude-v1`, `google-gemini-v1`, `openai-responses-v1`.
//! `reasoning_details` win over `reasoning`, and that over `reasoning_content`.
//!
//! The contract of a module of [`caller`]:
//! - `to_chat(request: &Value) -> Result<Value, TranslateError>`: the model's name and
//!   `stream` stand in the pivot as the caller wrote them; a stream asks for its usage.
//! - `from_chat(answer: &Value, model: &str) -> Value`; a `Result` in [`caller::messages`], which
//!   has no word for an answer that failed
//! - `Writer::new(model: &str)`; `chunk(&mut self, chunk: &Value) -> Vec<Said>` gives the events
//!   of one chunk (the first call begins the stream), `end(&mut self) -> Vec<Said>` (or a `Result`,
//!   as above) those of a whole stream's end, after the last chunk.
//!
//! The contract of a module of [`provider`]:
//! - `from_chat(chat: &Value, model: &str) -> Result<Value, TranslateError>`: `model` is the
//!   provider's name of it.
//! - `to_chat(answer: &Value) -> Result<Value, TranslateError>`: an answer of status 200.
//! - `Reader::default()`; `read(&mut self, event: &Value) -> Result<Vec<Value>, TranslateError>`
//!   gives the chunks of one event; usage stands in a chunk of its own with empty `choices`,
//!   or beside the finish reason. An event that reports a failure never gets here.
//!
//! [`bridge`] knows which of them are asked for which pair of forms.
//!
//! What the other side cannot say is a [`TranslateError`] that names it: nothing is dropped
//! in silence, except what says nothing about the answer.

mod bridge;
mod caller;
mod error;
mod form;
#[cfg(test)]
mod fuzz;
mod link;
#[cfg(test)]
mod odd;
#[cfg(test)]
mod pairs;
mod provider;
mod read;
mod reasoning;
mod said;

pub(crate) use bridge::{Bridge, Stream};
pub(crate) use caller::gemini::camel;
pub(crate) use error::TranslateError;
pub(crate) use form::Form;
pub(crate) use link::{bare, begins, carried, media_type};
pub(crate) use said::Said;
