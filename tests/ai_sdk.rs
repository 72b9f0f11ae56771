//! The Vercel AI SDK in front of the reference gateway: what its users' programs get, and what is
//! tried again behind their backs. `ai_sdk/program.mjs` is the program; what it must see is said here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{path::Path, process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Trial};
use mock_upstream::Script;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Bench, node, root, served::Served, wait};

/// What the mock answers; its characters have one to four bytes.
const REPLY: &str = "A café in 東京 serves 🍵 for 3 €.";

/// A program may take so long, Node's own start on a busy machine among it.
const PROGRAM_ENDS_WITHIN: Duration = Duration::from_secs(60);

#[expect(clippy::print_stdout, reason = "a test binary's first line says what it runs in")]
fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !arguments.list {
        println!("\n{}", Bench::get().why);
    }
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let of_each: [(&str, Test); 9] = [
        ("a call is served, with text, finish reason and usage", call),
        ("a stream's text is whole however its bytes arrive, with finish reason and usage", stream),
        ("reasoning tokens are told apart in the usage", reasoning_tokens),
        ("a spent budget is an APICallError with status 402, and is not tried again", spent_budget),
        ("a spent budget refuses a stream before it begins", spent_budget_of_a_stream),
        ("a rate limit is tried again twice, after as long as Retry-After says", rate_limit_is_tried_again),
        ("a rate limit that is waited out is served", rate_limit_is_waited_out),
        ("a missing or unknown key is an APICallError with status 401, and is not tried again", no_key),
        ("a stream that its provider cuts throws an error after the text that came", cut_stream),
    ];
    let of_chat: [(&str, Test); 2] =
        [("a tool is called, and what it returned is sent back", tool_call), ("embeddings are numbers", embeddings)];
    let mut trials = Vec::new();
    for api in [Api::Chat, Api::Responses] {
        trials.extend(of_each.map(|(sentence, test)| trial(&format!("{}: {sentence}", api.name()), api, test)));
    }
    trials.extend(of_chat.map(|(sentence, test)| trial(sentence, Api::Chat, test)));
    trials
}

fn trial(sentence: &str, api: Api, test: Test) -> Trial {
    node::trial(sentence, "tests/ai_sdk/package-lock.json", move |folder| {
        test(&Program { api, folder });
        Ok(())
    })
}

type Test = fn(&Program);

/// By which of OpenAI's APIs the SDK calls the gateway.
#[derive(Clone, Copy)]
enum Api {
    Chat,
    Responses,
}

impl Api {
    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
        }
    }
}

/// The program, and where the SDK is installed.
struct Program<'a> {
    api: Api,
    folder: &'a Path,
}

/// What came of one call of the program.
#[derive(Debug, Deserialize)]
struct Seen {
    returned: Option<Value>,
    thrown: Option<Thrown>,
    /// What went over the wire.
    requests: Vec<Request>,
    /// The milliseconds that the SDK chose to wait before each further try.
    waits: Vec<u64>,
    /// The text of the answer, as far as it came.
    text: String,
}

#[derive(Debug, Deserialize)]
struct Request {
    path: String,
    body: Value,
    status: u16,
}

/// The last error, where the SDK tried several times.
#[derive(Debug, Deserialize)]
struct Thrown {
    kind: String,
    message: String,
    status: Option<u16>,
    retryable: Option<bool>,
    body: Option<Value>,
    tries: usize,
}

impl Program<'_> {
    /// Runs a case of the program with a key's value; `clock` are the credentials by which its waits
    /// move the gateway's clock.
    fn run(&self, served: &Served, key: Option<&str>, clock: Option<String>, case: &str, options: Value) -> Vec<Seen> {
        let mut options = options;
        options["api"] = json!(self.api.name());
        let mut node = tokio::process::Command::new("node");
        // Without this machine's variables: keys and addresses of real providers may be among them.
        node.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        node.env("GATEWAY", served.world().instance.base_url()).current_dir(self.folder);
        node.envs(key.map(|key| ("KEY", key))).envs(clock.map(|clock| ("CLOCK", clock)));
        node.arg(root().join("tests/ai_sdk/program.mjs")).arg(case).arg(options.to_string());
        let output = wait(async { tokio::time::timeout(PROGRAM_ENDS_WITHIN, node.kill_on_drop(true).output()).await });
        let output = output.expect("the program must end").unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{case}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// The same as the virtual key `agent`, with a clock that stands.
    fn run_as_agent(&self, served: &Served, case: &str, options: Value) -> Vec<Seen> {
        self.run(served, Some(&served.world().keys["agent"]), None, case, options)
    }

    /// A gateway with a virtual key `agent` on which this is enforced. A call costs $0.00125.
    fn gateway(&self, name: &str, enforced: Value) -> Served {
        self.gateway_with(name, enforced, &Script::usual())
    }

    fn gateway_with(&self, name: &str, mut enforced: Value, script: &Script) -> Served {
        enforced["name"] = json!("agent");
        let policy = serde_json::from_value(json!({ "virtual_keys": [enforced] })).unwrap();
        Bench::get().serve(&format!("ai-sdk-{}-{name}", self.api.name()), &policy, script)
    }
}

impl Seen {
    /// What was returned by one request to this path.
    #[track_caller]
    fn served(&self, path: &str) -> &Value {
        let requests: Vec<_> = self.requests.iter().map(|request| (request.path.as_str(), request.status)).collect();
        assert_eq!(requests, [(path, 200)], "{self:?}");
        self.returned()
    }

    #[track_caller]
    fn returned(&self) -> &Value {
        self.returned.as_ref().unwrap_or_else(|| panic!("nothing was returned: {self:?}"))
    }

    /// The one kind of error that the SDK has for a refusal, with this status.
    #[track_caller]
    fn refused(&self, status: u16) -> &Thrown {
        let thrown = self.thrown.as_ref().unwrap_or_else(|| panic!("nothing was thrown: {self:?}"));
        assert_eq!((thrown.kind.as_str(), thrown.status), ("APICallError", Some(status)), "{self:?}");
        thrown
    }

    /// One request was sent, and nothing invites the SDK or its user to another.
    #[track_caller]
    fn not_tried_again(&self) {
        let retryable = self.thrown.as_ref().and_then(|thrown| thrown.retryable);
        assert_eq!((self.requests.len(), self.waits.len(), retryable), (1, 0, Some(false)), "{self:?}");
    }
}

impl Thrown {
    /// A field of the refusal's body.
    fn field(&self, name: &str) -> &Value {
        self.body.as_ref().map_or(&Value::Null, |body| &body["error"][name])
    }
}

/// Input, output and all tokens, as the SDK gives them.
fn tokens(answer: &Value) -> [&Value; 3] {
    ["inputTokens", "outputTokens", "totalTokens"].map(|name| &answer["usage"][name])
}

fn call(program: &Program) {
    let served = program.gateway("call", json!({}));
    let seen = program.run_as_agent(&served, "generate", json!({}));
    whole_answer(program, &seen[0]);
    assert_eq!(served.calls(), 1);
}

#[track_caller]
fn whole_answer(program: &Program, seen: &Seen) {
    let answer = seen.served(program.api.path());
    assert_eq!((seen.text.as_str(), &answer["finish"]), (REPLY, &json!("stop")), "{seen:?}");
    assert_eq!(tokens(answer), [100, 100, 200], "{answer}");
}

/// The usual providers, one of which this befalls.
fn fault(fault: &Value) -> Script {
    let mut script = serde_json::to_value(Script::usual()).unwrap();
    script["providers"]["primary"]["faults"] = json!([{ "fault": fault }]);
    serde_json::from_value(script).unwrap()
}

fn stream(program: &Program) {
    // Every boundary there can be: inside characters, inside `data:`, between the two line ends.
    let split = fault(&json!({ "split": { "sizes": [1, 2, 3] } }));
    let served = program.gateway_with("stream", json!({}), &split);
    let seen = program.run_as_agent(&served, "stream", json!({}));
    whole_answer(program, &seen[0]);
    assert_eq!(seen[0].requests[0].body["stream"], true);
    assert_eq!(served.calls(), 1);
}

fn reasoning_tokens(program: &Program) {
    let mut script = serde_json::to_value(Script::usual()).unwrap();
    script["models"]["mock-1"]["usage"] = json!({ "input": 100, "output": 100, "reasoning": 40 });
    let served = program.gateway_with("reasoning", json!({}), &serde_json::from_value(script).unwrap());
    for case in ["generate", "stream"] {
        let seen = program.run_as_agent(&served, case, json!({}));
        let answer = seen[0].served(program.api.path());
        let details = &answer["usage"]["outputTokenDetails"];
        assert_eq!(["textTokens", "reasoningTokens"].map(|name| &details[name]), [60, 40], "{answer}");
        assert_eq!(tokens(answer), [100, 100, 200], "{answer}");
    }
    let charged: Vec<u64> = served.world().upstream.ledger().inference().map(|entry| entry.tokens.reasoning).collect();
    assert_eq!(charged, [40, 40]);
}

fn tool_call(program: &Program) {
    let mut script = serde_json::to_value(Script::usual()).unwrap();
    script["models"]["caller"] = script["models"]["mock-1"].clone();
    script["models"]["caller"]["answer"] =
        json!({ "tool_calls": [{ "name": "weather", "arguments": { "city": "Wien" } }] });
    let served = program.gateway_with("tool", json!({}), &serde_json::from_value(script).unwrap());
    let seen = program.run_as_agent(&served, "tool", json!({}));
    let answer = seen[0].returned();
    assert_eq!(answer["inputs"], json!([{ "city": "Wien" }]), "the tool ran once, with what the model said");
    assert_eq!((&answer["steps"], seen[0].text.as_str()), (&json!(["tool-calls", "stop"]), REPLY), "{answer}");
    assert_eq!(tokens(answer), [200, 200, 400], "both calls count: {answer}");
    // What reached the provider, not only what was sent.
    let bodies: Vec<Value> = served.world().upstream.ledger().inference().map(|it| body(&it.body)).collect();
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0]["tools"][0]["function"]["name"], "weather", "{bodies:?}");
    let [_, call, result] = bodies[1]["messages"].as_array().unwrap().as_slice() else { panic!("{bodies:?}") };
    assert_eq!(call["tool_calls"][0]["function"]["name"], "weather", "{call}");
    assert_eq!(
        (&result["role"], body(result["content"].as_str().unwrap())),
        (&json!("tool"), json!({ "sky": "blue" }))
    );
    assert_eq!(result["tool_call_id"], call["tool_calls"][0]["id"]);
}

fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn embeddings(program: &Program) {
    let served = program.gateway("embeddings", json!({}));
    let seen = program.run_as_agent(&served, "embed", json!({}));
    let answer = seen[0].served("/v1/embeddings");
    assert_eq!(answer, &json!({ "numbers": [true, true], "usage": { "tokens": 100 } }));
    assert_eq!(served.calls(), 1);
}

/// So that a call can cost no more than it does.
fn bounded(times: usize) -> Value {
    json!({ "times": times, "settings": { "maxOutputTokens": 100 } })
}

fn spent_budget(program: &Program) {
    let served = program.gateway("budget", json!({ "budgets": [{ "limit": "$0.0025", "reset": "1h" }] }));
    let seen = program.run_as_agent(&served, "generate", bounded(3));
    whole_answer(program, &seen[0]);
    whole_answer(program, &seen[1]);
    refused_for_the_budget(&seen[2]);
    assert_eq!(served.calls(), 2, "a refused call must not reach the provider");
}

#[track_caller]
fn refused_for_the_budget(seen: &Seen) {
    let refused = seen.refused(402);
    seen.not_tried_again();
    let which = ["code", "scope", "entity", "limit"].map(|name| refused.field(name));
    assert_eq!(which, ["budget_exceeded", "virtual_key", "agent", "0.0025"], "it must say whose cap, and which");
    assert!(refused.message.contains("Budget exceeded"), "{refused:?}");
}

fn spent_budget_of_a_stream(program: &Program) {
    let served = program.gateway("stream-budget", json!({ "budgets": [{ "limit": "$0.0025", "reset": "1h" }] }));
    let seen = program.run_as_agent(&served, "stream", bounded(3));
    whole_answer(program, &seen[0]);
    whole_answer(program, &seen[1]);
    refused_for_the_budget(&seen[2]);
    assert_eq!(seen[2].text, "");
    assert_eq!(served.calls(), 2, "a refused call must not reach the provider");
}

/// Shorter than a minute: what is a minute or longer, the SDK does not wait for.
fn one_in_half_a_minute(program: &Program, name: &str) -> Served {
    program.gateway(name, json!({ "limits": { "requests": { "max": 1, "per": "30s" } } }))
}

fn rate_limit_is_tried_again(program: &Program) {
    let served = one_in_half_a_minute(program, "limit-retries");
    let seen = program.run_as_agent(&served, "generate", json!({ "times": 2 }));
    whole_answer(program, &seen[0]);
    let refused = seen[1].refused(429);
    assert_eq!((refused.tries, refused.retryable, refused.field("code")), (3, Some(true), &json!("request_limited")));
    assert_eq!(seen[1].requests.len(), 3);
    as_long_as_told(&seen[1], 2);
    assert_eq!(served.calls(), 1, "none of the three reached the provider");
}

/// The SDK waited so often, each time for the rest of the window. A wait of its own would be two
/// seconds, then four.
#[track_caller]
fn as_long_as_told(seen: &Seen, times: usize) {
    assert_eq!(seen.waits.len(), times, "{seen:?}");
    assert!(seen.waits.iter().all(|wait| (5_000..=30_000).contains(wait) && wait % 1_000 == 0), "{seen:?}");
}

fn rate_limit_is_waited_out(program: &Program) {
    let served = one_in_half_a_minute(program, "limit-waited-out");
    let admin = &served.world().world.admin;
    let clock = format!("{}:{}", admin.username, admin.password);
    let key = served.world().keys["agent"].as_str();
    let seen = program.run(&served, Some(key), Some(clock), "generate", json!({ "times": 2 }));
    whole_answer(program, &seen[0]);
    let statuses: Vec<u16> = seen[1].requests.iter().map(|request| request.status).collect();
    assert_eq!((statuses.as_slice(), seen[1].text.as_str()), ([429, 200].as_slice(), REPLY), "{seen:?}");
    as_long_as_told(&seen[1], 1);
    assert_eq!(served.calls(), 2);
}

fn no_key(program: &Program) {
    let served = program.gateway("no-key", json!({}));
    for (key, code) in [(None, "virtual_key_required"), (Some("sk-bf-unknown"), "virtual_key_not_found")] {
        let seen = program.run(&served, key, None, "generate", json!({}));
        assert_eq!(seen[0].refused(401).field("code"), code);
        seen[0].not_tried_again();
    }
    assert_eq!(served.calls(), 0);
}

fn cut_stream(program: &Program) {
    let served = program.gateway_with("cut", json!({}), &fault(&json!({ "cut": { "after_chunks": 2 } })));
    let seen = program.run_as_agent(&served, "stream", json!({}));
    let cut = &seen[0];
    assert!(cut.returned.is_none(), "{cut:?}");
    assert!(cut.thrown.is_some(), "{cut:?}");
    assert!(!cut.text.is_empty() && REPLY.starts_with(&cut.text) && cut.text != REPLY, "{cut:?}");
    assert_eq!((cut.requests.len(), served.calls()), (1, 1));
}
