//! What a link says of what it leads to, as whoever reads links understands it: with blanks around it too, and
//! in capitals.

use std::borrow::Cow;

/// What readers of links take out wherever it stands.
const DROPPED: [char; 3] = ['\n', '\r', '\t'];
/// Gemini takes a link to one of these for a film, whatever it ends in.
const FILMS: [&str; 3] = ["youtube.com", "youtu.be", "youtube-nocookie.com"];

/// A link without the blanks around it, and without the ends of lines and tabs that stand in it.
pub(crate) fn bare(link: &str) -> Cow<'_, str> {
    let is_blank = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '\u{feff}';
    let link = link.trim_matches(is_blank);
    if link.contains(DROPPED) { link.replace(DROPPED, "").into() } else { link.into() }
}

/// What a bare link carries itself, with its type, if it does.
pub(crate) fn carried(link: &str) -> Option<&str> {
    const CARRIES: &str = "data:";
    if begins(link, CARRIES) { link.get(CARRIES.len()..) } else { None }
}

/// Whether a text begins so, in whatever case its letters are.
pub(crate) fn begins(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(with))
}

/// The media type of what a link carries, in small letters, and its base64 text.
pub(crate) fn data_url(link: &str) -> Option<(String, Cow<'_, str>)> {
    let link = bare(link);
    let (head, data) = carried(&link)?.split_once(',')?;
    let (media_type, encoding) = head.rsplit_once(';')?;
    if !encoding.eq_ignore_ascii_case("base64") {
        return None;
    }
    let (media_type, begin) = (media_type.to_ascii_lowercase(), link.len() - data.len());
    let data = match link {
        Cow::Borrowed(link) => link.get(begin..)?.into(),
        Cow::Owned(link) => link.get(begin..)?.to_owned().into(),
    };
    Some((media_type, data))
}

/// The media type that a link's last letters say; `None` where they say none.
pub(crate) fn media_type(link: &str) -> Option<&'static str> {
    let link = bare(link);
    let (scheme, rest) = link.split_once("://")?;
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
            (" https://example.com/a.png\n", Some("image/png")),
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

    #[test]
    fn a_link_carries_its_data_in_base64_alone() {
        for (link, carried) in [
            ("data:text/plain;charset=utf-8;base64,AA==", Some(("text/plain;charset=utf-8", "AA=="))),
            ("Data:;Base64,", Some(("", ""))),
            ("data:text/plain,;base64,AA==", None),
            ("data:base64,AA==", None),
            ("https://example.com/;base64,AA==", None),
        ] {
            let said = data_url(link);
            assert_eq!(said.as_ref().map(|(media_type, data)| (media_type.as_str(), &**data)), carried, "{link}");
        }
    }
}
