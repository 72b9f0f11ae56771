//! Anthropic messages.
//!
//! - [`request`]: a request as a chat completion
//! - [`content`]: its content blocks
//! - [`answer`]: the answer as a message
//! - [`stream`]: chunks as message events

mod answer;
mod content;
mod request;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use answer::from_chat;
pub(crate) use request::to_chat;
pub(crate) use stream::Writer;
