//! The provider's side: a chat completion as a request to it, and its answer back.
