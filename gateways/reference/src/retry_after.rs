//! How long a provider that refuses wants to be left alone.

use std::time::Duration;

use axum::http::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;

/// The time that a refusal tells: `Retry-After`, or with Gemini a `retryDelay` in the body.
/// What cannot be read tells nothing.
pub(crate) fn told(header: Option<&HeaderValue>, body: &[u8], now: Timestamp) -> Option<Duration> {
    header.and_then(|value| of_header(value.to_str().ok()?.trim(), now)).or_else(|| of_body(body))
}

/// Seconds, or the date of the end.
fn of_header(text: &str, now: Timestamp) -> Option<Duration> {
    seconds(text).or_else(|| {
        let end = rfc2822::parse(text).ok()?.timestamp();
        Some(Duration::try_from(end.duration_since(now)).unwrap_or(Duration::ZERO))
    })
}

fn of_body(body: &[u8]) -> Option<Duration> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let details = body.pointer("/error/details")?.as_array()?;
    details.iter().find_map(|detail| seconds(detail.get("retryDelay")?.as_str()?.strip_suffix('s')?))
}

/// Whole seconds, the begun one with them.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let begun = u64::from(rest.bytes().any(|digit| digit != b'0'));
    let whole: u64 = Some(whole).filter(|whole| is_number(whole) && is_number(rest))?.parse().ok()?;
    Some(Duration::from_secs(whole.saturating_add(begun)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn of(header: &'static str) -> Option<u64> {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        told(Some(&HeaderValue::from_static(header)), b"", now).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read_and_nothing_else() {
        for (header, wait) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("1.2", Some(2)),
            ("Sat, 21 Nov 2026 12:01:30 GMT", Some(90)),
            ("Sat, 21 Nov 2026 11:00:00 GMT", Some(0)),
            ("-7", None),
            ("soon", None),
            ("", None),
            ("1.", None),
        ] {
            assert_eq!(of(header), wait, "{header}");
        }
    }

    #[test]
    fn gemini_tells_it_in_its_body() {
        let body = br#"{"error": {"details": [{"@type": "QuotaFailure"}, {"retryDelay": "21.5s"}]}}"#;
        assert_eq!(told(None, body, Timestamp::UNIX_EPOCH), Some(Duration::from_secs(22)));
        assert_eq!(told(None, b"no json", Timestamp::UNIX_EPOCH), None);
    }
}
