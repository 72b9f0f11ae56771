//! Gemini's generateContent and embedContent.
//!
//! - [`request`]: a request as a chat completion
//! - [`content`]: its contents, turn by turn
//! - [`schema`]: Gemini's schemas as JSON Schema
//! - [`answer`]: the answer as generated content
//! - [`stream`]: chunks as pieces of generated content
//! - [`embed`]: requests for embeddings

mod answer;
mod content;
mod embed;
mod request;
mod schema;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use answer::from_chat;
pub(crate) use embed::{batch_from_embeddings, batch_to_embeddings, from_embeddings, to_embeddings};
pub(crate) use request::{camel, to_chat};
pub(crate) use stream::Writer;
