//! A form with a file, as audio is sent for transcription. It passes through as it was
//! written, but for the name of the model.

use std::convert::Infallible;
use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;

/// The field that names the model.
const MODEL: &str = "model";

/// Why a body is no form.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    /// It has another shape.
    #[error("Invalid form: {0}")]
    Shape(#[from] multer::Error),
    /// Nobody can say which of the two a provider would read.
    #[error("Invalid form: `{0}` stands there twice")]
    Twice(String),
}

/// A form.
#[derive(Debug)]
pub(crate) struct Upload {
    boundary: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    headers: HeaderMap,
    content: Bytes,
}

impl Upload {
    /// Reads a body.
    pub(crate) async fn read(headers: &HeaderMap, body: Bytes) -> Result<Upload, UploadError> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(content_type)?;
        let body = futures_util::stream::once(async { Ok::<_, Infallible>(body) });
        let mut form = multer::Multipart::new(body, &boundary);
        let mut parts: Vec<Part> = Vec::new();
        while let Some(part) = form.next_field().await? {
            let name = part.name().unwrap_or_default().to_owned();
            if parts.iter().any(|other| other.name == name) && !name.ends_with("[]") {
                return Err(UploadError::Twice(name));
            }
            let headers = part.headers().clone();
            parts.push(Part { name, headers, content: part.bytes().await? });
        }
        Ok(Upload { boundary, parts })
    }

    /// The value of a field.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.content(name)?).ok()
    }

    pub(crate) fn content(&self, name: &str) -> Option<&Bytes> {
        self.parts.iter().find(|part| part.name == name).map(|part| &part.content)
    }

    /// How many bytes the fields beside the file have.
    pub(crate) fn text_bytes(&self) -> usize {
        self.parts.iter().filter(|part| part.name != "file").map(|part| part.content.len()).sum()
    }

    pub(crate) fn content_type(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("multipart/form-data; boundary=\"{}\"", self.boundary)).ok()
    }

    /// The body with this name of the model, whether or not it had one.
    pub(crate) fn body_for(&self, model: &str) -> Bytes {
        let mut body = Vec::new();
        let mut add = |head: &str, content: &[u8]| {
            body.extend_from_slice(format!("--{}\r\n{head}\r\n", self.boundary).as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        };
        for part in &self.parts {
            let mut head = String::new();
            for (name, value) in &part.headers {
                // A text cannot refuse to grow.
                let _ = write!(head, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
            }
            add(&head, if part.name == MODEL { model.as_bytes() } else { &part.content });
        }
        if self.content(MODEL).is_none() {
            add("content-disposition: form-data; name=\"model\"\r\n", model.as_bytes());
        }
        body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        body.into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const BODY: &str = "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
        content-type: audio/mpeg\r\n\r\n\u{0}bytes\r\n\r\n--b\r\n\
        content-disposition: form-data; name=\"model\"\r\n\r\nprimary/m\r\n--b--\r\n";

    fn content_type(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    async fn read(kind: &'static str, body: &'static str) -> Result<Upload, UploadError> {
        Upload::read(&content_type(kind), Bytes::from_static(body.as_bytes())).await
    }

    #[tokio::test]
    async fn a_form_passes_through_but_for_its_model() {
        let form = read("multipart/form-data; boundary=b", BODY).await.unwrap();
        assert_eq!(form.text("model"), Some("primary/m"));
        assert_eq!(form.content("file").unwrap().as_ref(), b"\0bytes\r\n");
        assert_eq!(form.body_for("m"), BODY.replace("primary/m", "m"));
    }

    #[tokio::test]
    async fn a_form_that_names_no_model_is_given_one() {
        let unnamed = BODY.replace("primary/m", "").replace("name=\"model\"", "name=\"language\"");
        let form = Upload::read(&content_type("multipart/form-data; boundary=b"), Bytes::from(unnamed)).await.unwrap();
        let body = form.body_for("m");
        let named = Upload::read(&content_type("multipart/form-data; boundary=b"), body).await.unwrap();
        assert_eq!((named.text("model"), named.text("language")), (Some("m"), Some("")));
    }

    #[tokio::test]
    async fn what_is_no_form_or_says_a_thing_twice_is_refused() {
        for (content_type, body) in [
            ("application/json", "{}"),
            ("multipart/form-data; boundary=b", "--b\r\nbroken"),
            (
                "multipart/form-data; boundary=b",
                "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\na\r\n\
                 --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nb\r\n--b--\r\n",
            ),
        ] {
            assert!(read(content_type, body).await.is_err(), "{body}");
        }
    }
}
