//! The provider's side: a chat completion as a request to it, and its answer back.
//!
//! - [`conversation`], [`chat`]: a chat completion's messages and its other fields, read strictly
//! - [`said`]: what a model said, as a chat completion has it
//! - [`anthropic`], [`gemini`]: the two protocols
//! - [`openai`]: OpenAI and whoever is compatible

pub(crate) mod anthropic;
mod chat;
mod conversation;
pub(crate) mod gemini;
pub(crate) mod openai;
mod said;

#[cfg(test)]
mod messages_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
