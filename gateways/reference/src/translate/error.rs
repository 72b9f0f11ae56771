//! What cannot be said in another protocol.

/// Why a body has no translation. The request is refused, never sent without its part.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TranslateError {
    /// A field, by its name or its path.
    #[error("`{0}` cannot be translated for this provider")]
    Field(String),
    /// A content block, a part or an item, by its type.
    #[error("a content block of type `{0}` cannot be translated for this provider")]
    Block(String),
    /// The provider's word for why its answer failed.
    #[error("the model's answer ended in an error: {0}")]
    Finish(String),
    /// A field that is missing, or of a wrong type.
    #[error("`{0}` has the wrong shape")]
    Shape(&'static str),
}
