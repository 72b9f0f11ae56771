//! OpenAI chat completions and completions.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::error::identified;
use super::frame::{Answer, Frame, Part, data, joined};
use super::job::{Delta, Job, Of, arguments};
use crate::price::produced;
use crate::route::Api;
use crate::script::{Stop, Usage, UsageAt};

/// `POST chat/completions`.
pub(super) fn chat(job: &Job<'_>) -> Answer {
    answer(job, &Chat)
}

/// `POST completions`.
pub(super) fn completion(job: &Job<'_>) -> Answer {
    answer(job, &Text)
}

/// What the two routes differ in.
trait Shape {
    fn id_prefix(&self) -> &'static str;
    fn object(&self, stream: bool) -> &'static str;
    /// The one choice of an answer that is no stream.
    fn whole(&self, job: &Job<'_>) -> Value;
    /// The choice of the chunk before the content, if there is such a chunk.
    fn opening(&self) -> Option<Value>;
    fn deltas<'a>(&self, job: &Job<'a>) -> Vec<Delta<'a>>;
    /// The choices of the chunks for one piece.
    fn delta(&self, job: &Job<'_>, delta: &Delta<'_>) -> Vec<Value>;
    fn finish(&self, job: &Job<'_>) -> Value;
}

struct Chat;

impl Shape for Chat {
    fn id_prefix(&self) -> &'static str {
        "chatcmpl-"
    }

    fn object(&self, stream: bool) -> &'static str {
        if stream { "chat.completion.chunk" } else { "chat.completion" }
    }

    fn whole(&self, job: &Job<'_>) -> Value {
        let answer = &job.model.answer;
        let text = Some(job.model.reply()).filter(|text| !text.is_empty() || answer.tool_calls.is_empty());
        let mut message = json!({"role": "assistant", "content": text, "refusal": null, "annotations": []});
        if let Some(text) = &answer.reasoning {
            put_reasoning(&mut message, text);
        }
        if !answer.tool_calls.is_empty() {
            let calls = answer.tool_calls.iter().enumerate();
            message["tool_calls"] = calls.map(|(place, call)| called(job, place, &arguments(call))).collect();
        }
        json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(job)})
    }

    fn opening(&self) -> Option<Value> {
        Some(choice(&json!({"role": "assistant", "content": "", "refusal": null}), None))
    }

    fn deltas<'a>(&self, job: &Job<'a>) -> Vec<Delta<'a>> {
        job.deltas()
    }

    fn delta(&self, job: &Job<'_>, delta: &Delta<'_>) -> Vec<Value> {
        let mut deltas = Vec::new();
        match delta.of {
            Of::Text => deltas.push(json!({"content": delta.text})),
            Of::Reasoning => {
                let mut said = json!({});
                put_reasoning(&mut said, &delta.text);
                deltas.push(said);
            }
            Of::Call(place) => {
                if delta.is_first {
                    let mut call = called(job, place, "");
                    call["index"] = json!(place);
                    deltas.push(json!({"tool_calls": [call]}));
                }
                let function = json!({"arguments": delta.text});
                deltas.push(json!({"tool_calls": [{"index": place, "function": function}]}));
            }
        }
        deltas.iter().map(|delta| choice(delta, None)).collect()
    }

    fn finish(&self, job: &Job<'_>) -> Value {
        choice(&json!({}), Some(finish_reason(job)))
    }
}

/// OpenAI has no field for it; these are those of OpenRouter, and of vLLM and DeepSeek.
fn put_reasoning(to: &mut Value, text: &str) {
    to["reasoning"] = json!(text);
    to["reasoning_content"] = json!(text);
    to["reasoning_details"] = json!([{"type": "reasoning.text", "text": text, "index": 0}]);
}

fn called(job: &Job<'_>, place: usize, arguments: &str) -> Value {
    let name = job.model.answer.tool_calls.get(place).map(|call| &call.name);
    let function = json!({"name": name, "arguments": arguments});
    json!({"id": job.call_id("call_", place), "type": "function", "function": function})
}

fn finish_reason(job: &Job<'_>) -> &'static str {
    match job.model.answer.stop {
        Stop::End if !job.model.answer.tool_calls.is_empty() => "tool_calls",
        Stop::End => "stop",
        Stop::Length => "length",
        Stop::Filter => "content_filter",
    }
}

fn choice(delta: &Value, finish: Option<&str>) -> Value {
    json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish})
}

struct Text;

impl Shape for Text {
    fn id_prefix(&self) -> &'static str {
        "cmpl-"
    }

    fn object(&self, _: bool) -> &'static str {
        "text_completion"
    }

    fn whole(&self, job: &Job<'_>) -> Value {
        text_choice(job.model.reply(), Some("stop"))
    }

    fn opening(&self) -> Option<Value> {
        None
    }

    fn deltas<'a>(&self, job: &Job<'a>) -> Vec<Delta<'a>> {
        job.text_deltas()
    }

    fn delta(&self, _: &Job<'_>, delta: &Delta<'_>) -> Vec<Value> {
        vec![text_choice(&delta.text, None)]
    }

    fn finish(&self, _: &Job<'_>) -> Value {
        text_choice("", Some("stop"))
    }
}

fn text_choice(text: &str, finish: Option<&str>) -> Value {
    json!({"text": text, "index": 0, "logprobs": null, "finish_reason": finish})
}

fn answer(job: &Job<'_>, shape: &dyn Shape) -> Answer {
    let answer = if job.ask.stream {
        Answer::stream(frames(job, shape))
    } else {
        let mut body = head(job, shape, false);
        body.insert("choices".into(), json!([shape.whole(job)]));
        if job.shows_usage() {
            body.insert("usage".into(), usage(&job.usage()));
        }
        body.insert("service_tier".into(), json!("default"));
        Answer::json(&body)
    };
    identified(answer, Api::OpenAi, job.seq)
}

fn head(job: &Job<'_>, shape: &dyn Shape, stream: bool) -> Map<String, Value> {
    [
        ("id", json!(job.id(shape.id_prefix()))),
        ("object", json!(shape.object(stream))),
        ("created", json!(job.created)),
        ("model", json!(job.name)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn frames(job: &Job<'_>, shape: &dyn Shape) -> Vec<Frame> {
    let usage = job.usage();
    let at = job.usage_at;
    let shown = |index: usize, output| match at {
        UsageAt::FirstChunk if index == 0 => Some(usage),
        UsageAt::EveryChunk => Some(produced(&usage, output)),
        _ => None,
    };
    let chunks = Chunks { job, shape };

    let mut frames = Vec::new();
    if let Some(opening) = shape.opening() {
        frames.push(Part::Opening.frame(chunks.chunk(Some(opening), shown(0, 0))));
    }
    for delta in shape.deltas(job) {
        let part = Part::Delta { tokens: delta.tokens };
        let shown = shown(frames.len(), delta.so_far);
        let chunks = shape.delta(job, &delta).into_iter().map(|choice| chunks.chunk(Some(choice), shown));
        frames.push(part.frame(joined(chunks)));
    }
    let last = matches!(at, UsageAt::FinishChunk | UsageAt::EveryChunk).then_some(usage);
    frames.push(Part::Closing.frame(chunks.chunk(Some(shape.finish(job)), last)));
    if chunks.own_usage_chunk() {
        frames.push(Part::Closing.frame(chunks.chunk(None, Some(usage))));
    }
    frames.push(Part::EndMarker.frame(Bytes::from_static(b"data: [DONE]\n\n")));
    frames
}

struct Chunks<'a> {
    job: &'a Job<'a>,
    shape: &'a dyn Shape,
}

impl Chunks<'_> {
    fn own_usage_chunk(&self) -> bool {
        self.job.usage_at == UsageAt::OwnChunk && self.job.ask.include_usage
    }

    fn chunk(&self, choice: Option<Value>, shown: Option<Usage>) -> Bytes {
        let mut body = head(self.job, self.shape, true);
        body.insert("choices".into(), Value::Array(choice.into_iter().collect()));
        match shown {
            Some(tokens) => body.insert("usage".into(), usage(&tokens)),
            // The real API sends a null in every other chunk once usage was asked for.
            None if self.own_usage_chunk() => body.insert("usage".into(), Value::Null),
            None => None,
        };
        data(&body)
    }
}

fn usage(tokens: &Usage) -> Value {
    let mut input = json!({"cached_tokens": tokens.cached, "audio_tokens": 0});
    if tokens.cache_write > 0 {
        input["cache_write_tokens"] = json!(tokens.cache_write);
    }
    json!({
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.total(),
        "prompt_tokens_details": input,
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
