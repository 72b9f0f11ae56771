//! Streams on their way to the caller.
//!
//! - [`sse`]: server-sent events out of bytes that arrive in any pieces
//! - [`watch`]: what a stream says about its usage and its end
//! - [`frame`]: how what is said stands in the body of an answer
//! - [`relay`]: forwards each event when it arrives, and charges in the end

mod frame;
pub(crate) mod relay;
pub(crate) mod sse;
pub(crate) mod watch;
