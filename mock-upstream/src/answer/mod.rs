//! What each route answers, framed as its real API frames it. Nothing here knows of time,
//! sockets or faults.

mod anthropic;
mod by_route;
mod embeddings;
mod error;
mod frame;
mod gemini;
mod job;
mod media;
mod models;
mod openai;
mod responses;

pub(crate) use by_route::{of_list, of_model};
pub(crate) use error::{Refusal, event as error_event};
pub(crate) use frame::{Answer, Body, Frame, Part};
pub(crate) use job::Job;
