//! A stream of chat completion chunks as a stream of message events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::messages::{message_id, stop_reason, usage_object};
use crate::usage::Usage;

/// Turns chunks into events, one by one.
#[derive(Debug)]
pub(crate) struct MessagesStream {
    model: String,
    has_begun: bool,
    finish_reason: Option<String>,
}

impl MessagesStream {
    pub(crate) fn new(model: &str) -> MessagesStream {
        MessagesStream { model: model.to_owned(), has_begun: false, finish_reason: None }
    }

    /// The events for the `data` of one chunk, possibly none. The end marker becomes
    /// the message's end with the `usage` seen by then.
    pub(crate) fn translate(&mut self, data: &str, usage: Option<Usage>) -> Bytes {
        let mut out = String::new();
        if data.trim() == "[DONE]" {
            self.begin(&Value::Null, &mut out);
            self.end(usage, &mut out);
            return out.into();
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            return Bytes::new();
        };
        self.begin(&chunk, &mut out);
        let choice = chunk.pointer("/choices/0").unwrap_or(&Value::Null);
        if let Some(text) = choice.pointer("/delta/content").and_then(Value::as_str)
            && !text.is_empty()
        {
            event(
                &mut out,
                &json!({
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": { "type": "text_delta", "text": text },
                }),
            );
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish_reason = Some(reason.to_owned());
        }
        out.into()
    }

    fn begin(&mut self, chunk: &Value, out: &mut String) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let message = json!({
            "id": message_id(chunk),
            "type": "message",
            "role": "assistant",
            "model": chunk.get("model").and_then(Value::as_str).unwrap_or(&self.model),
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            // Not known yet; the last event has it.
            "usage": usage_object(&Usage::default()),
        });
        event(out, &json!({ "type": "message_start", "message": message }));
        event(
            out,
            &json!({
                "type": "content_block_start",
                "index": 0,
                "content_block": { "type": "text", "text": "" },
            }),
        );
    }

    fn end(&self, usage: Option<Usage>, out: &mut String) {
        event(out, &json!({ "type": "content_block_stop", "index": 0 }));
        event(
            out,
            &json!({
                "type": "message_delta",
                "delta": {
                    "stop_reason": stop_reason(self.finish_reason.as_deref()),
                    "stop_sequence": null,
                },
                "usage": usage_object(&usage.unwrap_or_default()),
            }),
        );
        event(out, &json!({ "type": "message_stop" }));
    }
}

fn event(out: &mut String, data: &Value) {
    let name = data.get("type").and_then(Value::as_str).unwrap_or_default();
    out.push_str(&format!("event: {name}\ndata: {data}\n\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_the_events_of_one_message() {
        let mut stream = MessagesStream::new("mock-1");
        let mut out = Vec::new();
        for data in [
            r#"{"id":"c1","model":"mock-1","choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"id":"c1","choices":[{"delta":{"content":"hé"}}]}"#,
            r#"{"id":"c1","choices":[{"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"id":"c1","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}"#,
            "[DONE]",
        ] {
            let usage = Usage { input: 7, output: 3, ..Usage::default() };
            out.extend(stream.translate(data, Some(usage)));
        }
        insta::assert_snapshot!(String::from_utf8_lossy(&out));
    }
}
