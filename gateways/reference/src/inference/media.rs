//! What a request for images or audio asks for, at most, and how its answer is charged.

use bytes::Bytes;
use serde_json::Value;

use super::fields::{Fields, field};
use super::input::saturated;
use super::recording;
use super::route::Route;
use crate::books::Held;
use crate::errors::Problem;
use crate::pricing::{Media, Quality, Tariff};

/// Nobody speaks more slowly at the usual speed: letters in a second.
const LETTERS_OF_SECOND: u64 = 4;

/// Reads what a body asks for; `None` for a route of text.
pub(super) fn read(route: Route, fields: &Fields) -> Result<Option<Media>, Problem> {
    let refuse = |name: &str, value: &str| {
        Err(Problem::bad_request(format!("{name}: `{value}` is not supported by the reference gateway")))
    };
    match route {
        Route::Images => {
            if field::<bool>(fields, "stream")? == Some(true) {
                return refuse("stream", "true");
            }
            let quality = match field::<String>(fields, "quality")?.as_deref() {
                Some("low") => Some(Quality::Low),
                Some("medium") => Some(Quality::Medium),
                Some("high") => Some(Quality::High),
                _ => None,
            };
            Ok(Some(Media::Images { count: field(fields, "n")?.unwrap_or(1), quality }))
        }
        Route::Speech => {
            if field::<String>(fields, "stream_format")?.as_deref() == Some("sse") {
                return refuse("stream_format", "sse");
            }
            let text: String = field(fields, "input")?.unwrap_or_default();
            let letters = saturated(text.len());
            // At a quarter of the usual speed, the slowest that there is, it takes four times as long.
            let has_speed = field::<Value>(fields, "speed")?.is_some();
            let seconds = if has_speed { letters } else { letters.div_ceil(LETTERS_OF_SECOND) };
            let characters = saturated(text.chars().count());
            Ok(Some(Media::Speech { characters, seconds }))
        }
        _ => Ok(None),
    }
}

/// What a file can be transcribed to.
pub(super) fn of_file(file: &[u8]) -> Media {
    Media::Transcription { seconds: recording::seconds(file) }
}

/// Charges an answer: what it shows, or what was held. Gives it where it is JSON.
pub(super) async fn charge(held: Held, tariff: &Tariff, media: Media, body: &Bytes) -> Option<Value> {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let bound = held.bound();
    let spent = tariff.media_spent(media, parsed.as_ref(), bound).unwrap_or(bound);
    if let Err(error) = held.settle(spent).await {
        tracing::error!(%error, "an outcome was not written");
    }
    parsed
}
