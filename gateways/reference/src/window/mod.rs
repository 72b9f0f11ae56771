//! The windows that budgets and rate limits count in.
//!
//! - [`length`]: lengths of time as a configuration writes them
//! - [`calendar`]: where the calendar's windows meet
//! - [`span`]: one window, and when the next begins

mod calendar;
mod length;
mod span;

pub(crate) use length::{NotOnCalendar, ResetDuration};
pub(crate) use span::Window;
