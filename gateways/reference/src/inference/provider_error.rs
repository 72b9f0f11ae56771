//! A provider's error answer, as its caller is told: pure functions of its body.

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::Value;

use crate::errors::Wording;

/// Where providers say what went wrong: OpenAI, Anthropic and Gemini; Cerebras, Mistral and
/// SGLang; servers made with FastAPI; xAI and Hugging Face.
const MESSAGES: [&str; 4] = ["/error/message", "/message", "/detail", "/error"];
/// And their own word for it.
const WORDS: [&str; 5] = ["/error/status", "/error/type", "/error/code", "/type", "/code"];
/// The most characters that are told of an error which is no JSON.
const LONGEST_TEXT: usize = 1_000;

/// What a caller is told of an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The provider's body, which is in the caller's own protocol.
    AsItIs(Bytes),
    /// Its message, to be said in the caller's wording, and the provider's word for it, if it has one.
    Reworded { kind: Option<String>, message: String },
}

/// What a caller of this wording is told of an error of this provider.
pub(super) fn told(body: &Bytes, status: StatusCode, provider: &str, wording: Wording) -> Told {
    let attribution = attribution(status, provider);
    let Some(Said { mut error, place, is_listed }) = Said::read(body) else {
        return Told::Reworded { kind: None, message: attribution + &text(body, status) };
    };
    if wording_of(&error) == wording {
        match error.pointer_mut(place) {
            _ if attribution.is_empty() && !is_listed => return Told::AsItIs(body.clone()),
            Some(Value::String(message)) => {
                message.insert_str(0, &attribution);
                return Told::AsItIs(error.to_string().into());
            }
            _ => {}
        }
    }
    let message = match error.pointer(place) {
        Some(Value::String(message)) => message.clone(),
        other => other.map(Value::to_string).unwrap_or_default(),
    };
    Told::Reworded { kind: own_word(&error), message: attribution + &message }
}

/// An error that says something.
struct Said {
    error: Value,
    /// Where its message stands.
    place: &'static str,
    /// Whether it stood alone in a list, as Gemini's can.
    is_listed: bool,
}

impl Said {
    fn read(body: &[u8]) -> Option<Said> {
        let (error, is_listed) = match serde_json::from_slice(body).ok()? {
            Value::Array(mut list) if list.len() == 1 => (list.pop()?, true),
            error => (error, false),
        };
        let says = |place: &&&str| error.pointer(place).is_some_and(|message| !message.is_null());
        let place = MESSAGES.iter().find(says).copied()?;
        Some(Said { error, place, is_listed })
    }
}

/// That it is not the caller's key which was refused, but the gateway's own.
fn attribution(status: StatusCode, provider: &str) -> String {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("the provider '{provider}' answered with {}: ", status.as_u16())
        }
        _ => String::new(),
    }
}

/// In whose protocol an error is. What is neither Anthropic's nor Gemini's is that of some
/// server of OpenAI's kind, whose callers know its form.
fn wording_of(error: &Value) -> Wording {
    let is_anthropic = error.get("type").and_then(Value::as_str) == Some("error") && error.get("error").is_some();
    let is_gemini = error.pointer("/error/status").is_some_and(Value::is_string);
    match (is_anthropic, is_gemini) {
        (true, _) => Wording::Anthropic,
        (false, true) => Wording::Gemini,
        (false, false) => Wording::Native,
    }
}

fn own_word(error: &Value) -> Option<String> {
    WORDS.iter().find_map(|word| error.pointer(word)?.as_str()).map(str::to_owned)
}

/// What is told of a body in which no message is found: its text, unless that is a page.
fn text(body: &[u8], status: StatusCode) -> String {
    let text = String::from_utf8_lossy(body);
    let text: String = text.trim().chars().take(LONGEST_TEXT).collect();
    if text.is_empty() || text.starts_with('<') {
        return format!("the provider answered with {status}");
    }
    format!("the provider answered with {status}: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_to(wording: Wording, status: u16, body: &'static str) -> Told {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        told(&Bytes::from_static(body.as_bytes()), status, "p", wording)
    }

    #[test]
    fn whatever_form_an_error_has_its_message_is_told_and_openais_callers_get_it_whole() {
        for (body, kind, message) in [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, Some("t"), "m"),
            (r#"{"message":"m","type":"t","code":"context_length_exceeded"}"#, Some("t"), "m"),
            (r#"{"object":"error","message":"m","code":400}"#, None, "m"),
            (r#"{"object":"error","message":{"detail":["d"]},"type":"t"}"#, Some("t"), r#"{"detail":["d"]}"#),
            (r#"{"detail":"d"}"#, None, "d"),
            (r#"{"detail":[{"msg":"d"}]}"#, None, r#"[{"msg":"d"}]"#),
            (r#"{"error":"m","code":"c"}"#, Some("c"), "m"),
            (r#"{"error":{"code":"c"}}"#, Some("c"), r#"{"code":"c"}"#),
        ] {
            assert_eq!(
                told_to(Wording::Native, 400, body),
                Told::AsItIs(Bytes::from_static(body.as_bytes())),
                "{body}"
            );
            for wording in [Wording::Anthropic, Wording::Gemini] {
                let reworded = Told::Reworded { kind: kind.map(str::to_owned), message: message.to_owned() };
                assert_eq!(told_to(wording, 400, body), reworded, "{body}");
            }
        }
    }

    #[test]
    fn an_error_in_the_callers_protocol_is_handed_on_and_another_is_reworded() {
        let anthropic = r#"{"type":"error","error":{"type":"t","message":"m"}}"#;
        let gemini = r#"{"error":{"code":400,"message":"m","status":"S"}}"#;
        for (body, own, word) in [(anthropic, Wording::Anthropic, "t"), (gemini, Wording::Gemini, "S")] {
            for wording in [Wording::Native, Wording::Anthropic, Wording::Gemini] {
                let expected = if wording == own {
                    Told::AsItIs(Bytes::from_static(body.as_bytes()))
                } else {
                    Told::Reworded { kind: Some(word.to_owned()), message: "m".to_owned() }
                };
                assert_eq!(told_to(wording, 400, body), expected, "{body}");
            }
        }
        let listed = r#"[{"error":{"code":400,"message":"m","status":"S"}}]"#;
        assert_eq!(told_to(Wording::Gemini, 400, listed), Told::AsItIs(Bytes::from_static(gemini.as_bytes())));
    }

    #[test]
    fn a_refused_key_is_the_providers_wherever_its_message_stands() {
        for (body, expected) in [
            (r#"{"error":{"message":"m"}}"#, r#"{"error":{"message":"the provider 'p' answered with 401: m"}}"#),
            (r#"{"message":"m"}"#, r#"{"message":"the provider 'p' answered with 401: m"}"#),
            (r#"{"error":"m"}"#, r#"{"error":"the provider 'p' answered with 401: m"}"#),
        ] {
            assert_eq!(told_to(Wording::Native, 401, body), Told::AsItIs(Bytes::from_static(expected.as_bytes())));
        }
        for body in [r#"{"detail":["d"]}"#, "denied"] {
            let Told::Reworded { message, .. } = told_to(Wording::Native, 403, body) else {
                unreachable!("{body} has no text that it could be told in")
            };
            assert!(message.starts_with("the provider 'p' answered with 403: "), "{message}");
        }
    }

    #[test]
    fn a_text_is_told_and_a_page_is_not() {
        let message = |body| match told_to(Wording::Native, 404, body) {
            Told::Reworded { kind: None, message } => message,
            other => format!("{other:?}"),
        };
        assert_eq!(message("404 page not found\n"), "the provider answered with 404 Not Found: 404 page not found");
        for nothing in ["", "<html>", " \n"] {
            assert_eq!(message(nothing), "the provider answered with 404 Not Found");
        }
    }
}
