//! A gateway's folder: manifest, rendering, dialect, admin operations.

pub mod admin;
pub mod capability;
pub mod dialect;
pub mod load;
pub mod manifest;
pub mod render;
pub mod version;

pub use dialect::Dialect;
pub use load::Gateway;
pub use render::{RenderError, World};
