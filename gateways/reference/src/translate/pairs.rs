//! For every caller on every provider: a stream says what its plain twin says, with the same
//! usage and the same reason for its end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Bridge, Form, Said};
use crate::dialect::Dialect;
use crate::usage::Usage;

const CALLERS: [Form; 5] = [Form::Chat, Form::Completions, Form::Responses, Form::Messages, Form::Content];
const PROVIDERS: [Form; 3] = [Form::Chat, Form::Messages, Form::Content];

/// What a model answers.
#[derive(Clone, Debug)]
struct Answer {
    thoughts: Vec<String>,
    texts: Vec<String>,
    /// The names and the arguments of the tools that it calls, the arguments in two pieces.
    calls: Vec<(String, String, String)>,
    tokens: Tokens,
    is_cut: bool,
    /// Whether the pieces of calls say by an index which one they belong to, as OpenAI's do.
    has_index: bool,
    /// Whether the later pieces of calls have other ids, as those of some servers do.
    has_other_ids: bool,
}

#[derive(Clone, Copy, Debug)]
struct Tokens {
    /// Of which `cached` were read from a cache, and `written` written to one, half of them for an hour.
    input: u64,
    cached: u64,
    written: u64,
    /// Of which `thought` were for thoughts.
    output: u64,
    thought: u64,
}

fn answers() -> impl Strategy<Value = Answer> {
    let words = |most| prop::collection::vec("[a-zé😀\" ]{1,6}", 0..most);
    let call = ("[a-z]{1,4}", "[a-z]{0,4}", "[a-z]{0,4}");
    let tokens = (0_u64..30, 0_u64..20, 50_u64..99, 0_u64..50, 50_u64..99)
        .prop_map(|(cached, written, input, thought, output)| Tokens { input, cached, written, output, thought });
    (words(3), words(4), prop::collection::vec(call, 0..3), tokens, any::<[bool; 3]>()).prop_map(
        |(thoughts, texts, calls, tokens, [is_cut, has_index, has_other_ids])| Answer {
            thoughts,
            texts,
            calls: calls
                .into_iter()
                .map(|(name, one, two)| (name, format!("{{\"a\":\"{one}"), format!("{two}\"}}")))
                .collect(),
            tokens,
            is_cut,
            has_index,
            has_other_ids,
        },
    )
}

impl Answer {
    fn arguments(&self, at: usize) -> Value {
        let (_, one, two) = &self.calls[at];
        serde_json::from_str(&format!("{one}{two}")).unwrap()
    }

    fn finish(&self, cut: &str, called: &str, whole: &str) -> Value {
        json!(match (self.is_cut, self.calls.is_empty()) {
            (true, _) => cut,
            (false, false) => called,
            (false, true) => whole,
        })
    }

    fn usage(&self, provider: Form) -> Value {
        let Tokens { input, cached, written, output, thought } = self.tokens;
        let hour = written / 2;
        match provider {
            Form::Messages => json!({ "input_tokens": input - cached - written, "cache_read_input_tokens": cached,
                "cache_creation_input_tokens": written, "cache_creation": { "ephemeral_1h_input_tokens": hour },
                "output_tokens": output, "output_tokens_details": { "thinking_tokens": thought } }),
            Form::Content => json!({ "promptTokenCount": input, "cachedContentTokenCount": cached,
                "candidatesTokenCount": output - thought, "thoughtsTokenCount": thought }),
            _ => json!({ "prompt_tokens": input, "completion_tokens": output,
                "prompt_tokens_details": { "cached_tokens": cached, "cache_write_tokens": written,
                    "cache_creation_token_details": { "ephemeral_1h_input_tokens": hour } },
                "completion_tokens_details": { "reasoning_tokens": thought } }),
        }
    }

    /// As a provider gives it at once.
    fn plain(&self, provider: Form) -> Value {
        let (thought, text, usage) = (self.thoughts.concat(), self.texts.concat(), self.usage(provider));
        let calls = self.calls.iter().enumerate().map(|(at, (name, ..))| (at, name, self.arguments(at)));
        match provider {
            Form::Messages => {
                let mut content = vec![json!({ "type": "thinking", "thinking": thought, "signature": "s" })];
                content.push(json!({ "type": "text", "text": text }));
                content.extend(calls.map(
                    |(at, name, input)| json!({ "type": "tool_use", "id": id(at), "name": name, "input": input }),
                ));
                let reason = self.finish("max_tokens", "tool_use", "end_turn");
                json!({ "id": "i", "type": "message", "model": "m", "content": content, "stop_reason": reason, "usage": usage })
            }
            Form::Content => {
                let mut parts = vec![json!({ "text": thought, "thought": true }), json!({ "text": text })];
                parts.extend(
                    calls.map(
                        |(at, name, args)| json!({ "functionCall": { "id": id(at), "name": name, "args": args } }),
                    ),
                );
                let candidate =
                    json!({ "content": { "parts": parts }, "finishReason": self.finish("MAX_TOKENS", "STOP", "STOP") });
                json!({ "candidates": [candidate], "usageMetadata": usage, "responseId": "i", "modelVersion": "m" })
            }
            _ => {
                let calls: Vec<Value> =
                    calls.map(|(at, name, arguments)| called(at, name, &arguments.to_string())).collect();
                let message = json!({ "content": text, "reasoning": thought, "tool_calls": calls });
                let choice =
                    json!({ "message": message, "finish_reason": self.finish("length", "tool_calls", "stop") });
                json!({ "id": "i", "model": "m", "choices": [choice], "usage": usage })
            }
        }
    }

    /// As a provider gives it bit by bit.
    fn events(&self, provider: Form) -> Vec<Value> {
        match provider {
            Form::Messages => self.messages(),
            Form::Content => self.contents(),
            _ => self.chunks(),
        }
    }

    fn chunks(&self) -> Vec<Value> {
        let chunk = |delta: Value, finish: Value| json!({ "id": "i", "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
        let say = |delta: Value| chunk(delta, Value::Null);
        let mut chunks = vec![say(json!({ "role": "assistant", "content": "" }))];
        chunks.extend(self.thoughts.iter().map(|text| say(json!({ "reasoning": text }))));
        chunks.extend(self.texts.iter().map(|text| say(json!({ "content": text }))));
        for (at, (name, one, two)) in self.calls.iter().enumerate() {
            let mut first = called(at, name, one);
            let mut second = json!({ "function": { "arguments": two } });
            if self.has_index {
                (first["index"], second["index"]) = (json!(at), json!(at));
            }
            if self.has_other_ids {
                second["id"] = json!(format!("other_{at}"));
            }
            chunks.extend([first, second].map(|piece| say(json!({ "tool_calls": [piece] }))));
        }
        chunks.push(chunk(json!({}), self.finish("length", "tool_calls", "stop")));
        chunks.push(json!({ "id": "i", "model": "m", "choices": [], "usage": self.usage(Form::Chat) }));
        chunks
    }

    fn messages(&self) -> Vec<Value> {
        let mut events = vec![json!({ "type": "message_start", "message": { "id": "i", "model": "m", "usage":
            { "input_tokens": self.tokens.input, "output_tokens": 1 } } })];
        let mut blocks = 0;
        let mut block = |begin: Value, deltas: Vec<Value>| {
            events.push(json!({ "type": "content_block_start", "index": blocks, "content_block": begin }));
            events.extend(
                deltas
                    .into_iter()
                    .map(|delta| json!({ "type": "content_block_delta", "index": blocks, "delta": delta })),
            );
            events.push(json!({ "type": "content_block_stop", "index": blocks }));
            blocks += 1;
        };
        let mut thoughts: Vec<Value> =
            self.thoughts.iter().map(|text| json!({ "type": "thinking_delta", "thinking": text })).collect();
        thoughts.push(json!({ "type": "signature_delta", "signature": "s" }));
        block(json!({ "type": "thinking", "thinking": "", "signature": "" }), thoughts);
        let texts = self.texts.iter().map(|text| json!({ "type": "text_delta", "text": text })).collect();
        block(json!({ "type": "text", "text": "" }), texts);
        for (at, (name, one, two)) in self.calls.iter().enumerate() {
            let pieces = [one, two].map(|piece| json!({ "type": "input_json_delta", "partial_json": piece }));
            block(json!({ "type": "tool_use", "id": id(at), "name": name, "input": {} }), pieces.to_vec());
        }
        let reason = self.finish("max_tokens", "tool_use", "end_turn");
        events.push(
            json!({ "type": "message_delta", "delta": { "stop_reason": reason }, "usage": self.usage(Form::Messages) }),
        );
        events.push(json!({ "type": "message_stop" }));
        events
    }

    fn contents(&self) -> Vec<Value> {
        let piece = |part: Value| {
            json!({ "candidates": [{ "content": { "parts": [part] }, "index": 0 }], "responseId": "i", "modelVersion": "m",
                    "usageMetadata": { "promptTokenCount": 1, "totalTokenCount": 1 } })
        };
        let mut pieces: Vec<Value> =
            self.thoughts.iter().map(|text| piece(json!({ "text": text, "thought": true }))).collect();
        pieces.extend(self.texts.iter().map(|text| piece(json!({ "text": text }))));
        for (at, (name, ..)) in self.calls.iter().enumerate() {
            pieces.push(piece(json!({ "functionCall": { "id": id(at), "name": name, "args": self.arguments(at) } })));
        }
        let mut last = piece(json!({ "text": "" }));
        last["candidates"][0]["finishReason"] = self.finish("MAX_TOKENS", "STOP", "STOP");
        last["usageMetadata"] = self.usage(Form::Content);
        pieces.push(last);
        pieces
    }
}

fn id(at: usize) -> String {
    format!("call_{at}")
}

fn called(at: usize, name: &str, arguments: &str) -> Value {
    json!({ "id": id(at), "type": "function", "function": { "name": name, "arguments": arguments } })
}

/// What a caller understands of an answer.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    thoughts: String,
    text: String,
    calls: Vec<(String, Value)>,
    usage: Option<Usage>,
    finish: Value,
}

impl Heard {
    /// A whole answer in a caller's form.
    fn of(caller: Form, answer: &Value) -> Heard {
        let mut heard = Heard { usage: Usage::of_body(answer), ..Heard::default() };
        let list = |at: &str| answer.pointer(at).and_then(Value::as_array).cloned().unwrap_or_default();
        let arguments = |text: &Value| serde_json::from_str(text.as_str().unwrap()).unwrap();
        match caller {
            Form::Messages => {
                heard.finish = answer["stop_reason"].clone();
                list("/content")
                    .iter()
                    .for_each(|block| heard.add(&block["thinking"], &block["text"], &block["name"], &block["input"]));
            }
            Form::Content => {
                heard.finish = answer["candidates"][0]["finishReason"].clone();
                for part in list("/candidates/0/content/parts") {
                    let call = &part["functionCall"];
                    let is_thought = part["thought"] == true;
                    let (thought, said) =
                        if is_thought { (&part["text"], &Value::Null) } else { (&Value::Null, &part["text"]) };
                    heard.add(thought, said, &call["name"], &call["args"]);
                }
            }
            Form::Responses => {
                heard.finish = json!([answer["status"], answer["incomplete_details"]]);
                for item in list("/output") {
                    let text = &item["content"][0]["text"];
                    let call = item.get("arguments").map(arguments).unwrap_or_default();
                    heard.add(&item["summary"][0]["text"], text, &item["name"], &call);
                }
            }
            _ => {
                let choice = &answer["choices"][0];
                heard.finish = choice["finish_reason"].clone();
                heard.add(&choice["message"]["reasoning"], &choice["message"]["content"], &Value::Null, &Value::Null);
                heard.add(&Value::Null, &choice["text"], &Value::Null, &Value::Null);
                for call in list("/choices/0/message/tool_calls") {
                    let function = &call["function"];
                    heard.add(&Value::Null, &Value::Null, &function["name"], &arguments(&function["arguments"]));
                }
            }
        }
        heard
    }

    fn add(&mut self, thought: &Value, text: &Value, call: &Value, arguments: &Value) {
        self.thoughts += thought.as_str().unwrap_or_default();
        self.text += text.as_str().unwrap_or_default();
        self.calls.extend(call.as_str().map(|name| (name.to_owned(), arguments.clone())));
    }
}

/// The answer that a caller puts together from a stream.
fn assembled(caller: Form, said: &[Said]) -> Value {
    let events: Vec<Value> = said.iter().filter_map(|said| serde_json::from_str(&said.data).ok()).collect();
    match caller {
        Form::Responses => events.last().unwrap()["response"].clone(),
        Form::Messages => message(&events),
        Form::Content => {
            let mut whole = events.last().unwrap().clone();
            let parts = events.iter().flat_map(|piece| piece["candidates"][0]["content"]["parts"].as_array().unwrap());
            whole["candidates"][0]["content"]["parts"] = parts.cloned().collect();
            whole
        }
        _ => completion(&events),
    }
}

fn message(events: &[Value]) -> Value {
    let mut whole = json!({});
    let mut inputs: Map<String, Value> = Map::new();
    for event in events {
        let at = event["index"].to_string();
        match event["type"].as_str().unwrap() {
            "message_start" => whole = event["message"].clone(),
            "content_block_start" => {
                assert_eq!(event["index"], whole["content"].as_array().unwrap().len());
                whole["content"].as_array_mut().unwrap().push(event["content_block"].clone());
            }
            "content_block_delta" => {
                let block = &mut whole["content"][event["index"].as_u64().unwrap() as usize];
                let delta = &event["delta"];
                for name in ["text", "thinking"] {
                    append(&mut block[name], &delta[name]);
                }
                append(inputs.entry(at).or_insert(Value::Null), &delta["partial_json"]);
            }
            "content_block_stop" => {
                let block = &mut whole["content"][event["index"].as_u64().unwrap() as usize];
                if let Some(Value::String(input)) = inputs.get(&at) {
                    block["input"] = serde_json::from_str(input).unwrap();
                }
            }
            "message_delta" => {
                whole["stop_reason"] = event["delta"]["stop_reason"].clone();
                whole["usage"] = event["usage"].clone();
            }
            _ => {}
        }
    }
    whole
}

fn completion(events: &[Value]) -> Value {
    let mut whole = json!({ "choices": [{ "message": { "tool_calls": [] } }] });
    for event in events {
        if event["usage"].is_object() {
            whole["usage"] = event["usage"].clone();
        }
        let Some(said) = event["choices"].get(0) else { continue };
        let choice = &mut whole["choices"][0];
        if said["finish_reason"].is_string() {
            choice["finish_reason"] = said["finish_reason"].clone();
        }
        append(&mut choice["text"], &said["text"]);
        for name in ["content", "reasoning"] {
            append(&mut choice["message"][name], &said["delta"][name]);
        }
        let calls = choice["message"]["tool_calls"].as_array_mut().unwrap();
        for piece in said["delta"]["tool_calls"].as_array().into_iter().flatten() {
            if piece["function"]["name"].is_string() {
                calls.push(piece.clone());
            } else {
                let last = calls.last_mut().unwrap();
                append(&mut last["function"]["arguments"], &piece["function"]["arguments"]);
            }
        }
    }
    whole
}

fn append(text: &mut Value, piece: &Value) {
    if let Some(piece) = piece.as_str() {
        *text = json!(text.as_str().unwrap_or_default().to_owned() + piece);
    }
}

proptest! {
    #[test]
    fn a_stream_says_what_its_plain_twin_says_and_counts_the_same(answer in answers()) {
        for caller in CALLERS {
            for provider in PROVIDERS {
                let bridge = Bridge {
                    caller, provider, model: "m".to_owned(), is_stream: true, created: 0, as_base64: false, dialect: Dialect::OPENAI,
                };
                let plain = bridge.answer(&answer.plain(provider)).unwrap();
                let mut stream = bridge.stream(false);
                let mut said: Vec<Said> =
                    answer.events(provider).iter().flat_map(|event| stream.event(event).unwrap()).collect();
                said.extend(stream.end().unwrap());
                let (heard, twin) = (Heard::of(caller, &assembled(caller, &said)), Heard::of(caller, &plain));
                prop_assert_eq!(&heard, &twin, "{:?} on {:?}", caller, provider);
                let of_provider = Usage::of_body(&answer.plain(provider)).unwrap();
                let told = match caller {
                    // Gemini has no words for what is written to a cache.
                    Form::Content => Usage { cache_write: 0, cache_write_hour: 0, ..of_provider },
                    _ => of_provider,
                };
                prop_assert_eq!(heard.usage, Some(told), "{:?} on {:?}", caller, provider);
                prop_assert_eq!(heard.text, answer.texts.concat());
                if caller != Form::Completions {
                    prop_assert_eq!(heard.thoughts, answer.thoughts.concat());
                    prop_assert_eq!(heard.calls.len(), answer.calls.len());
                }
            }
        }
    }
}
