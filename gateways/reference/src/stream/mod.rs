//! Streams on their way to the caller.
//!
//! - [`sse`]: server-sent events out of bytes that arrive in any pieces
//! - [`watch`]: what a stream says about its usage and its end
//! - [`frame`]: how what is said stands in the body of an answer
//! - [`plain`]: what is answered instead of a stream
//! - [`relay`]: forwards each event when it arrives, and charges in the end

mod frame;
mod plain;
pub(crate) mod relay;
pub(crate) mod sse;
pub(crate) mod watch;
