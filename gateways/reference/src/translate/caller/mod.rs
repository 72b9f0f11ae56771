//! The caller's side: its request as a chat completion, and the answer back.
//!
//! - [`chat`]: chat completions themselves
//! - [`completions`]: OpenAI's older completions
//! - [`responses`]: OpenAI's responses
//! - [`messages`]: Anthropic messages
//! - [`gemini`]: Gemini's generateContent and embedContent
//! - [`settings`]: what their requests have alike
//! - [`calls`]: which call of a tool a piece of a stream belongs to

mod calls;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod gemini;
pub(crate) mod messages;
pub(crate) mod responses;
mod settings;
