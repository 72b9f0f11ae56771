//! OpenAI's images and audio.

use bytes::Bytes;
use serde_json::{Value, json};

use super::error::identified;
use super::frame::Answer;
use super::job::Job;
use crate::route::Api;
use crate::script::Price;

/// One pixel, as PNG.
const IMAGE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// `POST images/generations`. Like the real API it tells its tokens only where they are priced.
pub(super) fn images(job: &Job<'_>) -> Answer {
    let data: Vec<Value> = (0..job.ask.images).map(|_| json!({"b64_json": IMAGE})).collect();
    let mut body = json!({"created": job.created, "data": data});
    if job.shows_usage() && price(job).image.is_none() {
        let tokens = job.usage();
        body["usage"] = json!({
            "input_tokens": tokens.input,
            "input_tokens_details": {"text_tokens": tokens.input, "image_tokens": 0},
            "output_tokens": tokens.output,
            "total_tokens": tokens.total(),
        });
    }
    identified(Answer::json(&body), Api::OpenAi, job.seq)
}

/// `POST audio/speech`: bytes that tell nothing of their usage.
pub(super) fn speech(job: &Job<'_>) -> Answer {
    let bytes = Bytes::copy_from_slice(job.model.reply().as_bytes());
    identified(Answer { content_type: "audio/mpeg", ..Answer::whole(bytes) }, Api::OpenAi, job.seq)
}

/// `POST audio/transcriptions`.
pub(super) fn transcription(job: &Job<'_>) -> Answer {
    if job.ask.plain_text {
        let bytes = Bytes::copy_from_slice(job.model.reply().as_bytes());
        let answer = Answer { content_type: "text/plain; charset=utf-8", ..Answer::whole(bytes) };
        return identified(answer, Api::OpenAi, job.seq);
    }
    let mut body = json!({"text": job.model.reply()});
    let tokens = job.usage();
    if job.shows_usage() {
        body["usage"] = match price(job).second {
            Some(_) => json!({"type": "duration", "seconds": tokens.seconds}),
            None => json!({
                "type": "tokens",
                "input_tokens": tokens.input,
                "input_token_details": {"text_tokens": 0, "audio_tokens": tokens.input},
                "output_tokens": tokens.output,
                "total_tokens": tokens.total(),
            }),
        };
    }
    identified(Answer::json(&body), Api::OpenAi, job.seq)
}

fn price(job: &Job<'_>) -> Price {
    job.model.price.unwrap_or_default()
}
