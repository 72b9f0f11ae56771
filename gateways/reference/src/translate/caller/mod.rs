//! The caller's side: its request as a chat completion, and the answer back.
//!
//! - [`messages`]: Anthropic messages
//! - [`messages_stream`]: a stream of them

pub(crate) mod messages;
pub(crate) mod messages_stream;
