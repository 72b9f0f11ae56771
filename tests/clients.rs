//! The official OpenAI and Anthropic Python clients in front of the reference gateway: what its
//! users' programs see, which exceptions they must catch, and what is tried again behind their backs.
//! `clients/*.py` are the programs; what they must see is said here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{path::Path, process::ExitCode};

use libtest_mimic::Trial;
use mock_upstream::Script;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{
    Bench,
    program::{Caller, REPLY},
    python, readme, root, run_trials,
    served::{Served, fault},
};

const REQUIREMENTS: &str = "tests/clients/requirements.txt";

fn main() -> ExitCode {
    run_trials(trials)
}

fn trials() -> Vec<Trial> {
    let of_each: [(&str, Test); 11] = [
        ("a call is served, with text and usage", call),
        ("a stream's text is whole however its bytes arrive", stream),
        ("a spent budget is an exception of its own with status 402, and is not tried again", spent_budget),
        ("a spent budget refuses a stream before it begins", spent_budget_of_a_stream),
        ("a rate limit is a RateLimitError with status 429", rate_limit),
        ("a rate limit is tried again twice, after as long as Retry-After says", rate_limit_is_tried_again),
        ("a rate limit that is waited out is served", rate_limit_is_waited_out),
        ("a missing or unknown key is an AuthenticationError with status 401, and is not tried again", no_key),
        ("a disabled key is a PermissionDeniedError with status 403, and is not tried again", disabled_key),
        ("a stream that its provider cuts raises an error after the text that came", cut_stream),
        ("the README's configuration serves calls and streams until its budget is spent", readme_budget),
    ];
    let programs = [("openai", "openai_client.py"), ("anthropic", "anthropic_client.py")];
    let mut trials = Vec::new();
    for (client, file) in programs {
        trials.extend(of_each.map(|(sentence, test)| trial(client, file, sentence, test)));
    }
    trials.push(trial(
        "openai",
        "openai_client.py",
        "the usage of a stream comes only if it is asked for",
        stream_usage,
    ));
    trials.push(trial("openai", "openai_client.py", "embeddings are numbers", embeddings));
    trials.push(trial("openai", "openai_client.py", "the README's configuration serves embeddings", readme_embeddings));
    trials
}

fn trial(client: &'static str, file: &'static str, sentence: &str, test: Test) -> Trial {
    python::trial(&format!("{client}: {sentence}"), REQUIREMENTS, move |venv| {
        test(&Program { client, file, venv });
        Ok(())
    })
}

type Test = fn(&Program);

/// A program that uses a client.
struct Program<'a> {
    client: &'static str,
    file: &'static str,
    venv: &'a Path,
}

/// What came of one call of a program.
#[derive(Debug, Deserialize)]
struct Seen {
    /// What the client returned.
    returned: Option<Value>,
    /// The class of what it raised, and the classes that this one is of.
    raised: Option<String>,
    #[serde(default)]
    kinds: Vec<String>,
    /// The exception's `status_code` and `body`.
    status: Option<u16>,
    body: Option<Value>,
    message: Option<String>,
    /// What went over the wire: for each request, how often the client had tried before.
    requests: Vec<String>,
    /// The seconds of each Retry-After that it was told.
    told: Vec<u64>,
    /// The seconds that it chose to wait before each further try.
    waits: Vec<Value>,
    /// The text of the answer, as far as it came.
    text: String,
}

impl Program<'_> {
    fn is_openai(&self) -> bool {
        self.client == "openai"
    }

    fn run(&self, caller: &Caller<'_>, case: &str, options: &Value) -> Vec<Seen> {
        let mut python = tokio::process::Command::new(self.venv.join("bin/python"));
        // No `__pycache__` beside the sources.
        python.arg("-B").arg(root().join("tests/clients").join(self.file));
        caller.run(python, case, options)
    }

    fn run_as_agent(&self, served: &Served, case: &str, options: &Value) -> Vec<Seen> {
        self.run(&Caller::agent(served), case, options)
    }
}

impl Seen {
    #[track_caller]
    fn served(&self) -> &Value {
        assert_eq!(self.requests, ["0"], "{self:?}");
        self.returned.as_ref().unwrap_or_else(|| panic!("nothing was returned: {self:?}"))
    }

    /// What was raised is of this very class, and was raised for this status.
    #[track_caller]
    fn raised(&self, class: &str, status: u16) {
        assert_eq!((self.raised.as_deref(), self.status), (Some(class), Some(status)), "{self:?}");
        assert!(self.kinds.iter().any(|kind| kind == "APIStatusError"), "{self:?}");
    }

    #[track_caller]
    fn not_tried_again(&self) {
        assert_eq!((self.requests.as_slice(), self.waits.len()), (["0".to_owned()].as_slice(), 0), "{self:?}");
    }

    /// A field of the error's body. The OpenAI client gives its users what stands in `error`, and
    /// the Anthropic client the whole body.
    fn field(&self, name: &str) -> &Value {
        let body = self.body.as_ref().unwrap_or(&Value::Null);
        &body.get("error").unwrap_or(body)[name]
    }
}

/// A gateway with a virtual key `agent` on which this is enforced. A call costs $0.00125.
fn gateway(program: &Program, name: &str, enforced: Value) -> Served {
    gateway_with(program, name, enforced, &Script::usual())
}

fn gateway_with(program: &Program, name: &str, enforced: Value, script: &Script) -> Served {
    Bench::get().serve_agent(&format!("{}-{name}", program.client), enforced, script)
}

fn call(program: &Program) {
    let served = gateway(program, "call", json!({}));
    let seen = program.run_as_agent(&served, "call", &json!({}));
    whole_answer(program, &seen[0]);
    assert_eq!(served.calls(), 1);
}

/// Text, reason of the end and usage, as the client gives them.
#[track_caller]
fn whole_answer(program: &Program, seen: &Seen) {
    let answer = seen.served();
    assert_eq!(seen.text, REPLY);
    assert_eq!(answer["end"], if program.is_openai() { "stop" } else { "end_turn" });
    let names =
        if program.is_openai() { ["prompt_tokens", "completion_tokens"] } else { ["input_tokens", "output_tokens"] };
    assert_eq!(names.map(|name| &answer["usage"][name]), [100, 100], "{answer}");
}

fn stream(program: &Program) {
    // Every boundary there can be: inside characters, inside `data:`, between the two line ends.
    let served = gateway_with(program, "stream", json!({}), &fault(&json!({ "split": { "sizes": [1, 2, 3] } })));
    let seen = program.run_as_agent(&served, "stream", &json!({ "include_usage": true }));
    whole_answer(program, &seen[0]);
}

fn stream_usage(program: &Program) {
    let served = gateway(program, "stream-usage", json!({}));
    let asked = program.run_as_agent(&served, "stream", &json!({ "include_usage": true }));
    assert_eq!(asked[0].served()["usage"]["total_tokens"], 200, "{asked:?}");
    let unasked = program.run_as_agent(&served, "stream", &json!({}));
    assert_eq!(unasked[0].served(), &json!({ "end": "stop", "usage": null }));
    assert_eq!(unasked[0].text, REPLY);
}

fn embeddings(program: &Program) {
    let served = gateway(program, "embeddings", json!({}));
    let seen = program.run_as_agent(&served, "embeddings", &json!({}));
    let answer = seen[0].served();
    assert_eq!(answer["numbers"], json!([true, true]), "{answer}");
    assert!(answer["sizes"][0].as_u64().unwrap() > 0, "{answer}");
    assert_eq!(answer["usage"], json!({ "prompt_tokens": 100, "total_tokens": 100 }));
}

fn spent_budget(program: &Program) {
    third_call_is_refused(program, "budget", "call");
}

fn spent_budget_of_a_stream(program: &Program) {
    let refused = third_call_is_refused(program, "stream-budget", "stream");
    assert_eq!(refused.text, "");
}

/// Two of these calls spend a budget, so the third is refused for it.
fn third_call_is_refused(program: &Program, name: &str, case: &str) -> Seen {
    let served = gateway(program, name, json!({ "budgets": [{ "limit": "$0.0025", "reset": "1h" }] }));
    let mut seen = program.run_as_agent(&served, case, &json!({ "times": 3 }));
    seen[0].served();
    seen[1].served();
    refused_for_the_budget(program, &seen[2], "0.0025");
    assert_eq!(served.calls(), 2, "a refused call must not reach the provider");
    seen.remove(2)
}

#[track_caller]
fn refused_for_the_budget(program: &Program, refused: &Seen, limit: &str) {
    // OpenAI's client has no class of its own for a 402, so its users look at the code.
    refused.raised(if program.is_openai() { "APIStatusError" } else { "PaymentRequiredError" }, 402);
    refused.not_tried_again();
    assert_eq!(refused.told, [] as [u64; 0], "nothing must invite to another try: {refused:?}");
    assert_eq!(refused.field("type"), if program.is_openai() { "budget_exceeded" } else { "billing_error" });
    let which = ["code", "scope", "entity", "limit"].map(|name| refused.field(name));
    assert_eq!(which, ["budget_exceeded", "virtual_key", "agent", limit], "it must say whose cap, and which");
    assert!(refused.message.as_ref().unwrap().contains("Budget exceeded"), "{refused:?}");
}

fn one_a_minute(program: &Program, name: &str) -> Served {
    gateway(program, name, json!({ "limits": { "requests": { "max": 1, "per": "1m" } } }))
}

fn rate_limit(program: &Program) {
    let served = one_a_minute(program, "limit");
    let seen = program.run_as_agent(&served, "call", &json!({ "times": 2, "max_retries": 0 }));
    seen[0].served();
    seen[1].raised("RateLimitError", 429);
    seen[1].not_tried_again();
    assert_eq!(seen[1].field("code"), "request_limited");
    assert_eq!(served.calls(), 1);
}

fn rate_limit_is_tried_again(program: &Program) {
    let served = one_a_minute(program, "limit-retries");
    let seen = program.run_as_agent(&served, "call", &json!({ "times": 2 }));
    seen[0].served();
    seen[1].raised("RateLimitError", 429);
    assert_eq!(seen[1].requests, ["0", "1", "2"]);
    as_long_as_told(&seen[1], 2);
    assert_eq!(served.calls(), 1, "none of the three reached the provider");
}

/// The client waited so often, each time for what it was told and not for a time of its own.
#[track_caller]
fn as_long_as_told(seen: &Seen, times: usize) {
    let told: Vec<Value> = seen.told.iter().map(|seconds| json!(seconds)).collect();
    assert_eq!(seen.waits, told[..times], "{seen:?}");
    // A wait of its own would be a second at most.
    assert!(seen.told.iter().all(|seconds| (2..=60).contains(seconds)), "{seen:?}");
}

fn rate_limit_is_waited_out(program: &Program) {
    let served = one_a_minute(program, "limit-waited-out");
    let caller = Caller { waits: true, ..Caller::agent(&served) };
    let seen = program.run(&caller, "call", &json!({ "times": 2 }));
    seen[0].served();
    assert_eq!((seen[1].text.as_str(), &seen[1].raised), (REPLY, &None), "{seen:?}");
    assert_eq!(seen[1].requests, ["0", "1"], "what it was told is enough, at once");
    as_long_as_told(&seen[1], 1);
    assert_eq!(served.calls(), 2);
}

fn no_key(program: &Program) {
    let served = gateway(program, "no-key", json!({}));
    for (key, code) in [(None, "virtual_key_required"), (Some("sk-bf-unknown"), "virtual_key_not_found")] {
        let caller = Caller { key, ..Caller::agent(&served) };
        let seen = program.run(&caller, "call", &json!({}));
        seen[0].raised("AuthenticationError", 401);
        seen[0].not_tried_again();
        assert_eq!(seen[0].field("code"), code);
    }
    assert_eq!(served.calls(), 0);
}

fn disabled_key(program: &Program) {
    let served = gateway(program, "disabled-key", json!({ "active": false }));
    let seen = program.run_as_agent(&served, "call", &json!({}));
    seen[0].raised("PermissionDeniedError", 403);
    seen[0].not_tried_again();
    assert_eq!(seen[0].field("code"), "virtual_key_blocked");
    assert_eq!(served.calls(), 0);
}

fn cut_stream(program: &Program) {
    let served = gateway_with(program, "cut", json!({}), &fault(&json!({ "cut": { "after_chunks": 2 } })));
    let seen = program.run_as_agent(&served, "stream", &json!({}));
    let cut = &seen[0];
    // The answer began with 200, which is all the status there is: OpenAI's client raises its base
    // class without one, and Anthropic's an `APIStatusError` with the 200.
    let raised = if program.is_openai() { ("APIError", None) } else { ("APIStatusError", Some(200)) };
    assert_eq!((cut.raised.as_deref().unwrap(), cut.status), raised, "{cut:?}");
    assert!(cut.message.as_ref().unwrap().contains("without its end marker"), "{cut:?}");
    assert!(!cut.text.is_empty() && REPLY.starts_with(&cut.text) && cut.text != REPLY, "{cut:?}");
    cut.not_tried_again();
    assert_eq!(served.calls(), 1);
}

/// The README's models at the prices that the shipped sheet has for them: a call costs $0.000075 of
/// the README's $0.0002, so that two leave too little for a third.
fn readme_models() -> Value {
    let usage = json!({ "input": 100, "output": 100 });
    json!({
        "gpt-4o-mini": { "usage": usage, "price": { "input": "$0.15", "output": "$0.60" } },
        "text-embedding-3-small": { "usage": usage, "price": { "input": "$0.02", "output": "$0" } },
    })
}

fn readme_budget(program: &Program) {
    for case in ["call", "stream"] {
        let served = readme::serve(&format!("{}-{case}", program.client), &readme_models());
        let asked = json!({ "model": "gpt-4o-mini", "include_usage": true, "times": 3 });
        let seen = program.run_as_agent(&served, case, &asked);
        whole_answer(program, &seen[0]);
        whole_answer(program, &seen[1]);
        refused_for_the_budget(program, &seen[2], "0.0002");
        assert_eq!((served.calls(), served.ledger().charged().to_string().as_str()), (2, "$0.00015"));
        let stranger = program.run(&Caller { key: None, ..Caller::agent(&served) }, "call", &asked);
        stranger[0].raised("AuthenticationError", 401);
    }
}

fn readme_embeddings(program: &Program) {
    let served = readme::serve("openai-embeddings", &readme_models());
    let seen = program.run_as_agent(&served, "embeddings", &json!({ "model": "text-embedding-3-small" }));
    assert_eq!(seen[0].served()["numbers"], json!([true, true]), "{seen:?}");
    assert_eq!(served.calls(), 1);
}
