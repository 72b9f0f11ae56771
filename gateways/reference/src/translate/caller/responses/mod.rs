//! OpenAI's responses.
//!
//! - [`request`]: a request as a chat completion
//! - [`items`]: its input, item by item
//! - [`answer`]: the answer as a response
//! - [`stream`]: chunks as response events

mod answer;
mod items;
mod request;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use answer::from_chat;
pub(crate) use request::to_chat;
pub(crate) use stream::Writer;
