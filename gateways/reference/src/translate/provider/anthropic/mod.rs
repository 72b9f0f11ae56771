//! A provider that speaks Anthropic messages.
//!
//! - [`request`], [`messages`]: a chat completion as a message request
//! - [`answer`]: a message as a chat completion's answer
//! - [`stream`]: a message's events as chunks

mod answer;
mod messages;
mod request;
mod stream;

pub(crate) use answer::to_chat;
pub(crate) use request::from_chat;
pub(crate) use stream::Reader;
