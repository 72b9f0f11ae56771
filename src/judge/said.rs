//! What a model said, as the caller of any route reads it: thoughts, text, and calls of tools.

use std::fmt;

use serde_json::{Map, Value};

use crate::{
    drive::{answer::Answer, sse::SseReader},
    scenario::call::RouteName,
};

/// What a model said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) thought: String,
    pub(super) text: String,
    pub(super) calls: Vec<Called>,
}

/// A call of a tool. Arguments that are no JSON stay a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Called {
    pub(super) name: String,
    pub(super) arguments: Value,
}

impl Called {
    pub(super) fn new(name: &str, arguments: &Map<String, Value>) -> Self {
        Self { name: name.to_owned(), arguments: Value::Object(arguments.clone()) }
    }
}

impl fmt::Display for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, self.arguments)
    }
}

/// Reads an answer, or puts the pieces of a stream together as a client does.
pub(super) fn said(answer: &Answer) -> Said {
    let mut reader =
        Reader { route: answer.sent.route, said: Said::default(), pieces: Vec::new(), thought: String::new() };
    if answer.streamed {
        for event in SseReader::default().push(&answer.bytes) {
            reader.piece(&serde_json::from_str(&event.data).unwrap_or_default());
        }
    } else {
        reader.whole(&answer.json());
    }
    reader.end()
}

/// A call whose name and arguments come in pieces.
#[derive(Debug, Default)]
struct Pieces {
    place: u64,
    name: String,
    arguments: String,
}

struct Reader {
    route: RouteName,
    said: Said,
    pieces: Vec<Pieces>,
    /// What a stream of responses thought piece by piece, and need not say again in an item.
    thought: String,
}

impl Reader {
    fn whole(&mut self, answer: &Value) {
        match self.route {
            RouteName::Chat => self.chat(&answer["choices"][0]["message"], false),
            RouteName::Messages => items(answer, "/content").for_each(|block| self.block(block)),
            RouteName::Responses => items(answer, "/output").for_each(|item| self.item(item)),
            RouteName::Genai => items(answer, "/candidates/0/content/parts").for_each(|part| self.part(part)),
            RouteName::Embeddings | RouteName::Models => {}
        }
    }

    fn piece(&mut self, event: &Value) {
        match self.route {
            RouteName::Chat => self.chat(&event["choices"][0]["delta"], true),
            RouteName::Messages => self.event(event),
            RouteName::Responses if event["type"] == "response.output_item.done" => self.item(&event["item"]),
            RouteName::Responses if is_thought(event) => self.thought += text(event, "delta").unwrap_or_default(),
            // Its last event holds the whole answer, or nothing of what stood in items before.
            RouteName::Responses if event["type"] == "response.completed" && self.is_empty() => {
                self.whole(&event["response"]);
            }
            RouteName::Genai => self.whole(event),
            RouteName::Responses | RouteName::Embeddings | RouteName::Models => {}
        }
    }

    /// OpenAI's message, or what a chunk adds to it.
    fn chat(&mut self, message: &Value, is_piece: bool) {
        match text(message, "reasoning").or_else(|| text(message, "reasoning_content")) {
            Some(thought) => self.said.thought += thought,
            None => items(message, "/reasoning_details")
                .for_each(|detail| self.said.thought += text(detail, "text").unwrap_or_default()),
        }
        self.said.text += text(message, "content").unwrap_or_default();
        for (place, call) in items(message, "/tool_calls").enumerate() {
            // Only pieces are put together by their index.
            let index = call["index"].as_u64().filter(|_| is_piece);
            let place = index.unwrap_or(place as u64);
            let function = &call["function"];
            self.call_at(place, text(function, "name"), text(function, "arguments"));
        }
    }

    /// A block of Anthropic's.
    fn block(&mut self, block: &Value) {
        self.said.thought += text(block, "thinking").unwrap_or_default();
        self.said.text += text(block, "text").unwrap_or_default();
        if block["type"] == "tool_use" {
            let name = text(block, "name").unwrap_or_default().to_owned();
            self.said.calls.push(Called { name, arguments: block["input"].clone() });
        }
    }

    /// An event of Anthropic's: a block begins, or goes on.
    fn event(&mut self, event: &Value) {
        let place = event["index"].as_u64().unwrap_or_default();
        let block = &event["content_block"];
        if block["type"] == "tool_use" {
            self.call_at(place, text(block, "name"), None);
        } else {
            self.block(block);
        }
        let delta = &event["delta"];
        match delta["type"].as_str() {
            Some("input_json_delta") => self.call_at(place, None, text(delta, "partial_json")),
            Some("thinking_delta" | "text_delta") => self.block(delta),
            _ => {}
        }
    }

    /// An item of OpenAI's responses.
    fn item(&mut self, item: &Value) {
        for part in items(item, "/summary") {
            self.said.thought += text(part, "text").unwrap_or_default();
        }
        let is_thought = item["type"] == "reasoning";
        let of = if is_thought { &mut self.said.thought } else { &mut self.said.text };
        for part in items(item, "/content") {
            of.push_str(text(part, "text").unwrap_or_default());
        }
        if item["type"] == "function_call" {
            self.pieces.push(Pieces {
                place: self.pieces.len() as u64,
                name: text(item, "name").unwrap_or_default().to_owned(),
                arguments: text(item, "arguments").unwrap_or_default().to_owned(),
            });
        }
    }

    /// A part of Gemini's.
    fn part(&mut self, part: &Value) {
        let said = text(part, "text").unwrap_or_default();
        let of = if part["thought"] == true { &mut self.said.thought } else { &mut self.said.text };
        of.push_str(said);
        if let Some(call) = part.get("functionCall") {
            let name = text(call, "name").unwrap_or_default().to_owned();
            let arguments = call.get("args").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            self.said.calls.push(Called { name, arguments });
        }
    }

    fn is_empty(&self) -> bool {
        self.said == Said::default() && self.pieces.is_empty()
    }

    fn call_at(&mut self, place: u64, name: Option<&str>, arguments: Option<&str>) {
        let at = self.pieces.iter().position(|call| call.place == place).unwrap_or_else(|| {
            self.pieces.push(Pieces { place, ..Pieces::default() });
            self.pieces.len() - 1
        });
        self.pieces[at].name += name.unwrap_or_default();
        self.pieces[at].arguments += arguments.unwrap_or_default();
    }

    fn end(mut self) -> Said {
        let parsed = |text: String| match text.as_str() {
            // A tool without arguments.
            "" => Value::Object(Map::new()),
            json => serde_json::from_str(json).unwrap_or(Value::String(text)),
        };
        let whole = |call: Pieces| Called { name: call.name, arguments: parsed(call.arguments) };
        self.said.calls.extend(self.pieces.into_iter().map(whole));
        if self.said.thought.is_empty() {
            self.said.thought = self.thought;
        }
        self.said
    }
}

fn is_thought(event: &Value) -> bool {
    event["type"] == "response.reasoning_summary_text.delta" || event["type"] == "response.reasoning_text.delta"
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::drive::answer::{End, Outgoing};

    fn answer(route: RouteName, streamed: bool, text: &str) -> Answer {
        Answer {
            sent: Outgoing {
                marker: String::new(),
                method: crate::gateway::manifest::Method::Post,
                url: String::new(),
                headers: Vec::new(),
                body: None,
                route,
                hang_up_after: None,
                deadline: std::time::Duration::ZERO,
            },
            started: jiff::Timestamp::UNIX_EPOCH,
            status: Some(200),
            headers: indexmap::IndexMap::new(),
            bytes: text.as_bytes().to_vec(),
            events: 0,
            streamed,
            end: End::Complete,
            took: std::time::Duration::ZERO,
        }
    }

    /// The same of every route: a thought, a text, a call with arguments and one without.
    fn wanted() -> Said {
        let called = |name: &str, arguments| Called { name: name.to_owned(), arguments };
        let calls = vec![called("weather", json!({"city": "Wien"})), called("now", json!({}))];
        Said { thought: "Hm. So.".to_owned(), text: "I look.".to_owned(), calls }
    }

    fn plain(route: RouteName, body: &Value) -> Said {
        said(&answer(route, false, &body.to_string()))
    }

    fn streamed(route: RouteName, events: &[Value]) -> Said {
        let events: Vec<_> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        said(&answer(route, true, &format!("{}data: [DONE]\n\n", events.concat())))
    }

    #[test]
    fn chat_completions_are_read_whole_and_in_pieces() {
        let call = |index: Option<u64>, name: Option<&str>, arguments: &str| json!({"index": index, "function": {"name": name, "arguments": arguments}});
        let calls = [call(Some(0), Some("weather"), r#"{"city":"Wien"}"#), call(Some(0), Some("now"), "")];
        let details = json!([{"type": "reasoning.text", "text": "Hm. "}, {"type": "reasoning.text", "text": "So."}]);
        for thought in [json!({"reasoning_content": "Hm. So."}), json!({"reasoning_details": details})] {
            let mut message = json!({"content": "I look.", "tool_calls": calls});
            crate::gateway::load::lay_over(&mut message, thought);
            assert_eq!(plain(RouteName::Chat, &json!({"choices": [{"message": message}]})), wanted());
        }
        let chunk = |delta: Value| json!({"choices": [{"delta": delta}]});
        let chunks = [
            chunk(json!({"role": "assistant", "reasoning": "Hm. ", "reasoning_content": "Hm. "})),
            chunk(json!({"reasoning": "So."})),
            chunk(json!({"content": "I "})),
            chunk(json!({"content": "look."})),
            chunk(json!({"tool_calls": [call(Some(0), Some("weather"), "{\"city\":")]})),
            chunk(json!({"tool_calls": [call(Some(1), Some("now"), "")]})),
            chunk(json!({"tool_calls": [call(Some(0), None, "\"Wien\"}")]})),
            json!({"choices": [], "usage": {}}),
        ];
        assert_eq!(streamed(RouteName::Chat, &chunks), wanted());
    }

    #[test]
    fn messages_are_read_whole_and_in_pieces() {
        let content = json!([
            {"type": "thinking", "thinking": "Hm. So.", "signature": "s"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "name": "weather", "input": {"city": "Wien"}},
            {"type": "tool_use", "name": "now", "input": {}},
        ]);
        assert_eq!(plain(RouteName::Messages, &json!({"content": content})), wanted());
        let begin = |index: u64, block: Value| json!({"index": index, "content_block": block});
        let go_on = |index: u64, delta: Value| json!({"index": index, "delta": delta});
        let events = [
            begin(0, json!({"type": "thinking", "thinking": ""})),
            go_on(0, json!({"type": "thinking_delta", "thinking": "Hm. So."})),
            begin(1, json!({"type": "text", "text": ""})),
            go_on(1, json!({"type": "text_delta", "text": "I look."})),
            begin(2, json!({"type": "tool_use", "name": "weather", "input": {}})),
            go_on(2, json!({"type": "input_json_delta", "partial_json": "{\"city\":"})),
            go_on(2, json!({"type": "input_json_delta", "partial_json": "\"Wien\"}"})),
            begin(3, json!({"type": "tool_use", "name": "now", "input": {}})),
        ];
        assert_eq!(streamed(RouteName::Messages, &events), wanted());
    }

    #[test]
    fn responses_are_read_whole_and_from_their_items_or_last_event() {
        let output = json!([
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm. So."}]},
            {"type": "message", "content": [{"type": "output_text", "text": "I look."}]},
            {"type": "function_call", "name": "weather", "arguments": "{\"city\":\"Wien\"}"},
            {"type": "function_call", "name": "now", "arguments": ""},
        ]);
        assert_eq!(plain(RouteName::Responses, &json!({"output": output})), wanted());
        let delta = json!({"type": "response.output_text.delta", "delta": "I look."});
        let last = json!({"type": "response.completed", "response": {"output": output}});
        assert_eq!(streamed(RouteName::Responses, &[delta.clone(), last.clone()]), wanted());
        let done = |item: &Value| json!({"type": "response.output_item.done", "item": item});
        let mut items: Vec<_> = output.as_array().into_iter().flatten().map(done).collect();
        items[0]["item"] =
            json!({"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm. So."}], "summary": []});
        let thought = json!({"type": "response.reasoning_summary_text.delta", "delta": "Hm. So."});
        let calls = [delta.clone(), thought, items[1].clone(), items[2].clone(), items[3].clone()];
        assert_eq!(streamed(RouteName::Responses, &calls), wanted());
        items.insert(0, delta);
        for end in [last, json!({"type": "response.completed", "response": {"output": null}})] {
            items.push(end);
            assert_eq!(streamed(RouteName::Responses, &items), wanted());
        }
    }

    #[test]
    fn generated_content_is_read_whole_and_in_pieces() {
        let parts = [
            json!({"text": "Hm. So.", "thought": true}),
            json!({"text": "I look."}),
            json!({"functionCall": {"name": "weather", "args": {"city": "Wien"}}}),
            json!({"functionCall": {"name": "now"}}),
        ];
        let with = |parts: &[Value]| json!({"candidates": [{"content": {"parts": parts}}]});
        assert_eq!(plain(RouteName::Genai, &with(&parts)), wanted());
        let pieces: Vec<_> = parts.iter().map(|part| with(std::slice::from_ref(part))).collect();
        assert_eq!(streamed(RouteName::Genai, &pieces), wanted());
    }

    #[test]
    fn arguments_that_are_cut_off_stay_a_text() {
        let calls = json!([{"function": {"name": "weather", "arguments": "{\"city\":"}}]);
        let read = plain(RouteName::Chat, &json!({"choices": [{"message": {"tool_calls": calls}}]}));
        assert_eq!(read.calls[0].arguments, json!("{\"city\":"));
    }
}
