//! The Vercel AI SDK in front of the reference gateway: what its users' programs get, and what is
//! tried again behind their backs. `ai_sdk/program.mjs` is the program; what it must see is said here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod program;
mod readme;
mod refusals;

use std::process::ExitCode;

use libtest_mimic::Trial;
use program::{Api, Program};
use support::{node, run_trials};

fn main() -> ExitCode {
    run_trials(trials)
}

fn trials() -> Vec<Trial> {
    let of_each: [(&str, Test); 15] = [
        ("a call is served, with text, finish reason and usage", answers::call),
        ("a stream's text is whole however its bytes arrive, with finish reason and usage", answers::stream),
        ("reasoning tokens are told apart in the usage", answers::reasoning_tokens),
        ("a tool is called, and what it returned is sent back", answers::tool_call),
        ("a spent budget is an APICallError with status 402, and is not tried again", refusals::spent_budget),
        ("a spent budget refuses a stream before it begins", refusals::spent_budget_of_a_stream),
        ("a rate limit is tried again twice, after as long as Retry-After says", refusals::rate_limit_is_tried_again),
        ("a rate limit that is waited out is served", refusals::rate_limit_is_waited_out),
        ("a missing or unknown key is an APICallError with status 401, and is not tried again", refusals::no_key),
        ("a stream that its provider cuts throws an error after the text that came", refusals::cut_stream),
        ("the README's configuration serves a call", readme::call),
        ("the README's configuration serves a stream", readme::stream),
        ("the README's configuration serves a call of a tool", readme::tool_call),
        ("the README's configuration serves a model that reasons", readme::reasoning),
        ("the README's configuration refuses what its budget does not allow", readme::budget),
    ];
    let mut trials = Vec::new();
    for api in [Api::Chat, Api::Responses] {
        trials.extend(of_each.map(|(sentence, test)| trial(&format!("{}: {sentence}", api.name()), api, test)));
    }
    let of_responses: [(&str, Test); 2] = [
        ("what a model of any provider thinks is its reasoning text", answers::reasoning_text),
        ("a tool is called by a model of any provider that thinks", answers::tool_call_elsewhere),
    ];
    trials.extend(of_responses.map(|(sentence, test)| trial(&format!("responses: {sentence}"), Api::Responses, test)));
    let of_embeddings: [(&str, Test); 2] = [
        ("embeddings are numbers", answers::embeddings),
        ("the README's configuration serves embeddings", readme::embeddings),
    ];
    trials.extend(of_embeddings.map(|(sentence, test)| trial(sentence, Api::Chat, test)));
    trials
}

fn trial(sentence: &str, api: Api, test: Test) -> Trial {
    node::trial(sentence, "tests/ai_sdk/package-lock.json", move |folder| {
        test(&Program { api, folder });
        Ok(())
    })
}

type Test = fn(&Program);
