//! What a link says of what it leads to.

/// Gemini takes a link to one of these for a film, whatever it ends in.
const FILMS: [&str; 3] = ["youtube.com", "youtu.be", "youtube-nocookie.com"];

/// The media type that a link's last letters say; `None` where they say none.
pub(crate) fn media_type(url: &str) -> Option<&'static str> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") || is_film(rest) {
        return None;
    }
    let path = rest.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        _ => return None,
    })
}

fn is_film(after_scheme: &str) -> bool {
    let authority = after_scheme.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    FILMS.iter().any(|film| host.strip_suffix(film).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_its_type_by_its_ending_alone() {
        for (url, said) in [
            ("https://example.com/a.png", Some("image/png")),
            ("HTTP://example.com/a.b.JPEG?size=1#x.pdf", Some("image/jpeg")),
            ("https://example.com/a.pdf", Some("application/pdf")),
            ("https://example.com/a?b=c.png", None),
            ("https://example.com/a", None),
            ("gs://bucket/a.png", None),
            ("a.png", None),
            ("https://www.youtube.com/watch?v=1", None),
            ("https://www.youtube.com/embed/1.png", None),
            ("https://me@YouTu.be:443/1.png", None),
            ("https://notyoutube.com/1.png", Some("image/png")),
        ] {
            assert_eq!(media_type(url), said, "{url}");
        }
    }
}
