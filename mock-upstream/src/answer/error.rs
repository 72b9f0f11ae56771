//! Errors in the words of each API.

use serde_json::{Value, json};

use super::frame::{Answer, Frame, Part, array_item, data, data_crlf, event as named_event, pretty, pretty_lines};
use crate::route::{Api, Route, Target};

/// An answer that refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// OpenAI's `code`; the other APIs have none.
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    /// Seconds.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    /// The error of this status in its usual words.
    pub(crate) fn scripted(status: u16, retry_after: Option<u64>, message: Option<&str>) -> Refusal {
        let code = match status {
            401 => Some("invalid_api_key"),
            402 => Some("insufficient_quota"),
            404 => Some("model_not_found"),
            429 => Some("rate_limit_exceeded"),
            _ => None,
        };
        Refusal {
            status,
            code,
            message: message.map_or_else(|| usual_message(status).to_owned(), str::to_owned),
            retry_after,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Refusal {
        Refusal::plain(400, None, message)
    }

    pub(crate) fn missing_key() -> Refusal {
        Refusal::plain(401, None, "You didn't provide an API key.")
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Refusal {
        Refusal::plain(404, None, message)
    }

    pub(crate) fn too_large(most: usize) -> Refusal {
        Refusal::plain(413, None, format!("The request's body is larger than {most} bytes."))
    }

    pub(crate) fn unknown_model(model: &str) -> Refusal {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Refusal::plain(404, Some("model_not_found"), message)
    }

    fn plain(status: u16, code: Option<&'static str>, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into(), retry_after: None }
    }

    pub(crate) fn answer(&self, target: &Target, seq: u64) -> Answer {
        let array = target.route == Route::StreamGenerateContent && !target.sse;
        let value = self.value(target.api, seq);
        let mut answer = match target.api {
            Api::Gemini if array => Answer::gemini_json(pretty(&json!([value]))),
            Api::Gemini => Answer::gemini_json(pretty(&value)),
            Api::OpenAi | Api::Anthropic => Answer::json(&value),
        };
        answer.status = self.status;
        let answer = identified(answer, target.api, seq);
        match self.retry_after {
            Some(seconds) => answer.header("retry-after", seconds),
            None => answer,
        }
    }

    fn value(&self, api: Api, seq: u64) -> Value {
        let message = &self.message;
        match api {
            Api::OpenAi => json!({"error": {
                "message": message,
                "type": openai_type(self.status),
                "param": null,
                "code": self.code,
            }}),
            Api::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_type(self.status), "message": message},
                "request_id": request_id(seq),
            }),
            Api::Gemini => json!({"error": {
                "code": self.status,
                "message": message,
                "status": gemini_status(self.status),
            }}),
        }
    }
}

/// The request's identifier in the header that the API uses for it.
pub(super) fn identified(answer: Answer, api: Api, seq: u64) -> Answer {
    match api {
        Api::OpenAi => answer.header("x-request-id", request_id(seq)),
        Api::Anthropic => answer.header("request-id", request_id(seq)),
        Api::Gemini => answer,
    }
}

fn request_id(seq: u64) -> String {
    format!("req_mock{seq:08}")
}

/// The event that tells a stream's reader of an error, after these frames.
pub(crate) fn event(target: &Target, seq: u64, before: &[Frame]) -> Frame {
    let (status, message) = match target.api {
        Api::Anthropic => (529, "Overloaded"),
        Api::Gemini => (503, usual_message(503)),
        Api::OpenAi => (500, usual_message(500)),
    };
    let value = Refusal::scripted(status, None, Some(message)).value(target.api, seq);
    let bytes = match (target.api, target.route) {
        (Api::Anthropic, _) => named_event("error", &value),
        (Api::OpenAi, Route::Responses) => named_event(
            "error",
            &json!({
                "type": "error",
                "code": "server_error",
                "message": message,
                "param": null,
                "sequence_number": before.iter().map(Frame::events).sum::<usize>(),
            }),
        ),
        (Api::Gemini, _) if target.sse => data_crlf(&value),
        (Api::Gemini, _) => [array_item(before.len()), &pretty_lines(&value), b"\n]\n"].concat().into(),
        (Api::OpenAi, _) => data(&value),
    };
    Part::Closing.frame(bytes)
}

fn usual_message(status: u16) -> &'static str {
    match status {
        400 => "The request could not be understood.",
        401 => "Incorrect API key provided.",
        402 => "Your credit balance is too low.",
        403 => "You are not allowed to do this.",
        404 => "The requested resource does not exist.",
        408 => "The request timed out.",
        429 => "Rate limit reached. Please try again later.",
        503 | 529 => "The engine is currently overloaded, please try again later.",
        _ => "The server had an error while processing your request.",
    }
}

fn openai_type(status: u16) -> &'static str {
    match status {
        402 => "insufficient_quota",
        429 => "requests",
        503 => "service_unavailable_error",
        500..=599 => "server_error",
        _ => "invalid_request_error",
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        503 | 529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

fn gemini_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        500..=599 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
