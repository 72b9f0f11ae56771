//! The configuration of the reference gateway's README, as it stands there.

use serde_json::{Value, json};

use crate::{
    answers::{THOUGHT, text_and_reasoning, weather, weather_was_told, whole_answer},
    program::{Api, Program},
    refusals::refused_for_the_budget,
    support::program::REPLY,
};

/// The README's models, at the prices that the shipped sheet has for them.
fn models(edit: impl FnOnce(&mut Value)) -> Value {
    let usage = json!({ "input": 100, "output": 100 });
    let mut models = json!({
        "gpt-4o-mini": { "usage": usage, "price": { "input": "$0.15", "output": "$0.60" } },
        "gpt-5-mini": { "usage": usage, "price": { "input": "$0.25", "output": "$2" } },
        "text-embedding-3-small": { "usage": usage, "price": { "input": "$0.02", "output": "$0" } },
    });
    edit(&mut models);
    models
}

/// A call that its budget allows, with this besides.
fn of_readme(mut options: Value) -> Value {
    options["settings"] = json!({ "maxOutputTokens": 100 });
    options
}

pub(crate) fn call(program: &Program) {
    let served = program.readme("readme-call", &models(|_| {}));
    let seen = program.run_as_agent(&served, "generate", of_readme(json!({ "model": "gpt-4o-mini" })));
    whole_answer(program, &seen[0]);
}

pub(crate) fn stream(program: &Program) {
    let served = program.readme("readme-stream", &models(|_| {}));
    let seen = program.run_as_agent(&served, "stream", of_readme(json!({ "model": "gpt-4o-mini" })));
    whole_answer(program, &seen[0]);
}

pub(crate) fn tool_call(program: &Program) {
    let models = models(|models| {
        models["gpt-5-mini"]["answer"] = json!({ "tool_calls": weather() });
        for model in ["gpt-4o-mini", "gpt-5-mini"] {
            models[model]["usage"] = json!({ "input": 10, "output": 10 });
        }
    });
    let served = program.readme("readme-tool", &models);
    let settings = json!({ "maxOutputTokens": 10 });
    let asked = json!({ "caller": "gpt-5-mini", "model": "gpt-4o-mini", "settings": settings });
    let seen = program.run_as_agent(&served, "tool", asked);
    weather_was_told(&seen[0]);
    assert_eq!(served.calls(), 2);
}

pub(crate) fn reasoning(program: &Program) {
    let models = models(|models| {
        models["gpt-5-mini"]["usage"] = json!({ "input": 10, "output": 40, "reasoning": 30 });
        models["gpt-5-mini"]["answer"] = json!({ "reasoning": THOUGHT });
    });
    let served = program.readme("readme-reasoning", &models);
    let settings = json!({ "maxOutputTokens": 40 });
    let seen = program.run_as_agent(&served, "generate", json!({ "model": "gpt-5-mini", "settings": settings }));
    let answer = seen[0].served(program.api.path());
    assert_eq!((text_and_reasoning(answer), seen[0].text.as_str()), ([&json!(10), &json!(30)], REPLY), "{answer}");
    // Chat completions of OpenAI have no field for thoughts, and its provider in the SDK reads none.
    let thought = if program.api == Api::Responses { json!(THOUGHT) } else { Value::Null };
    assert_eq!(answer["reasoning"], thought, "{answer}");
}

pub(crate) fn budget(program: &Program) {
    for case in ["generate", "stream"] {
        let served = program.readme(&format!("readme-budget-{case}"), &models(|_| {}));
        let seen = program.run_as_agent(&served, case, of_readme(json!({ "model": "gpt-4o-mini", "times": 3 })));
        whole_answer(program, &seen[0]);
        whole_answer(program, &seen[1]);
        refused_for_the_budget(&seen[2], "0.0002");
        assert_eq!((served.calls(), served.ledger().charged().to_string().as_str()), (2, "$0.00015"));
    }
}

pub(crate) fn embeddings(program: &Program) {
    let served = program.readme("readme-embeddings", &models(|_| {}));
    let seen = program.run_as_agent(&served, "embed", json!({ "model": "text-embedding-3-small" }));
    assert_eq!(seen[0].served("/v1/embeddings")["numbers"], json!([true, true]), "{seen:?}");
}
