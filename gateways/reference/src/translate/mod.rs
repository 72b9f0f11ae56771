//! Between protocols: pure functions of bodies and events.
//!
//! - [`messages`]: an Anthropic message request and its answer, as a chat completion
//! - [`stream`]: a stream of chat completion chunks as a stream of message events

pub(crate) mod messages;
pub(crate) mod stream;
