//! A provider that speaks Gemini's generateContent.
//!
//! - [`request`], [`contents`]: a chat completion as a request to generate content
//! - [`answer`]: its answer as a chat completion's
//! - [`stream`]: its pieces as chunks
//! - [`embeddings`]: OpenAI's embeddings

mod answer;
mod contents;
mod embeddings;
mod request;
mod stream;

pub(crate) use answer::to_chat;
pub(crate) use embeddings::{from_embeddings, to_embeddings, wants_base64};
pub(crate) use request::from_chat;
pub(crate) use stream::Reader;
