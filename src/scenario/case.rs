//! Cases: one scenario file, repeated for each combination of its matrix.

use indexmap::IndexMap;
use minijinja::{Environment, UndefinedBehavior, context};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    call::RouteName,
    expect::{Status, StreamEnd, Upstream},
    range::Count,
    step::{Action, Scenario, Step},
};
use crate::{
    document::{Document, DocumentError, Key},
    money::Usd,
    period::Period,
    promise::Unanswered,
};

/// What the templates of a scenario may use beside its matrix.
#[derive(Clone, Debug)]
pub struct CaseContext {
    /// The window of budgets and limits whose end is waited for.
    pub window: Period,
    /// What the gateway promises to charge for a call that was never answered.
    pub unanswered_calls: Unanswered,
    /// The eval harness's contract.
    pub eval: Eval,
}

/// The eval harness's contract: a model under a hard cap.
#[derive(Clone, Debug)]
pub struct Eval {
    /// The model's name (`EVAL_MODEL`).
    pub model: String,
    /// The cap (`EVAL_MODEL_MAX_BUDGET`).
    pub max_budget: Usd,
}

impl Default for CaseContext {
    fn default() -> Self {
        let max_budget = Usd::new(1.into());
        Self {
            window: Period::seconds(3600),
            unanswered_calls: Unanswered::default(),
            eval: Eval { model: "mock-1".to_owned(), max_budget },
        }
    }
}

impl Eval {
    /// The smallest cap that four calls of 100 input tokens and one output token can stay within.
    #[must_use]
    pub fn least_budget() -> Usd {
        Usd::new(Decimal::new(104, 5))
    }

    /// What a call costs: 100 input tokens and the output tokens at $2.50 and $10.00 per million.
    fn call(&self) -> Usd {
        Usd::new(Decimal::new(25, 5) + Decimal::from(self.output_tokens()) * Decimal::new(1, 5))
    }

    /// How many calls pass at least: four where they reach the cap exactly, else perhaps only three.
    fn calls(&self) -> u32 {
        if self.times(4) == self.max_budget { 4 } else { 3 }
    }

    fn times(&self, calls: u32) -> Usd {
        Usd::new(self.call().dollars() * Decimal::from(calls))
    }

    /// Output tokens of a call such that four calls, with 100 input tokens each, reach the cap at
    /// $2.50 and $10.00 per million.
    fn output_tokens(&self) -> u64 {
        // 100 tokens at $2.50 per million are 25 output tokens' worth at $10.00.
        let hundred_thousand = Decimal::from(100_000);
        let worth = (self.max_budget.dollars() * hundred_thousand / Decimal::from(4)).ceil();
        u64::try_from(worth).unwrap_or(u64::MAX).saturating_sub(25).max(1)
    }
}

/// One case: the scenario with every template filled in.
#[derive(Clone, Debug)]
pub struct Case {
    /// Such as `stream=true`; empty if the scenario has one case only.
    pub name: String,
    /// The scenario of this case.
    pub scenario: Scenario,
}

/// All cases of a scenario file, in the order of its matrix.
///
/// # Errors
/// When a template fails, or what results is not a scenario; the error points at the field.
pub fn expand(document: &Document, context: &CaseContext) -> Result<Vec<Case>, Box<DocumentError>> {
    use Action::{Burst, Call, Trespass};
    let matrix: IndexMap<String, Vec<Value>> =
        document.value().get("matrix").and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default();
    let mut cases = Vec::new();
    for values in combinations(&matrix) {
        let filled = fill(document, &values, context)?;
        let mut scenario: Scenario = filled.decode()?;
        for (index, step) in scenario.steps.iter_mut().enumerate() {
            let calls = matches!(step.action, Call(_) | Burst(_) | Trespass(_));
            if calls && step.checks().is_empty() && step.expect.fact.is_empty() {
                let path = ["steps".into(), Key::Item(index)];
                return Err(filled.error(&path, "a step that calls must expect something", None));
            }
            complete(step);
        }
        let excepted = scenario.except.iter().any(|except| except.iter().all(|(k, v)| values.get(k) == Some(v)));
        if !excepted {
            cases.push(Case { name: name_of(&values), scenario });
        }
    }
    Ok(cases)
}

fn combinations(matrix: &IndexMap<String, Vec<Value>>) -> Vec<IndexMap<String, Value>> {
    matrix.iter().fold(vec![IndexMap::new()], |combinations, (axis, values)| {
        let with = |combination: &IndexMap<String, Value>, value: &Value| {
            let mut combination = combination.clone();
            combination.insert(axis.clone(), value.clone());
            combination
        };
        combinations.iter().flat_map(|combination| values.iter().map(|value| with(combination, value))).collect()
    })
}

fn name_of(values: &IndexMap<String, Value>) -> String {
    let part = |(axis, value): (&String, &Value)| match value {
        Value::String(text) => format!("{axis}={text}"),
        other => format!("{axis}={other}"),
    };
    values.iter().map(part).collect::<Vec<_>>().join(",")
}

/// Fills in every template. A string that is nothing but `{{ … }}` keeps the type of its value.
fn fill(
    document: &Document,
    matrix: &IndexMap<String, Value>,
    context: &CaseContext,
) -> Result<Document, Box<DocumentError>> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let values = context! {
        ..minijinja::Value::from(minijinja::value::Serde(matrix)),
        ..context! {
            window => context.window.to_string(),
            unanswered_calls => context.unanswered_calls.word(),
            eval => context! {
                model => context.eval.model.as_str(),
                max_budget => context.eval.max_budget.to_string(),
                output_tokens => context.eval.output_tokens(),
                calls => context.eval.calls(),
                spent => context.eval.times(context.eval.calls()).to_string(),
                spent_at_most => context.eval.times(4).to_string(),
            },
        }
    };
    document.map_strings(|text| render(&environment, text, &values))
}

/// Renders a text; one that is nothing but `{{ … }}` keeps the type of its value.
pub(crate) fn render(
    environment: &Environment<'_>,
    text: &str,
    values: &minijinja::Value,
) -> Result<Value, minijinja::Error> {
    if !text.contains("{{") && !text.contains("{%") {
        return Ok(Value::String(text.to_owned()));
    }
    let whole = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    let expression = whole.map(|inside| (inside, environment.compile_expression(inside)));
    match expression {
        // Several expressions are none together.
        Some((inside, Err(error))) if !inside.contains("{{") && !inside.contains("}}") => Err(error),
        Some((expression, Ok(compiled))) => {
            let value = compiled.eval(values)?;
            if value.is_undefined() {
                return Err(minijinja::Error::new(
                    minijinja::ErrorKind::UndefinedError,
                    format!("`{}` has no value here", expression.trim()),
                ));
            }
            serde_json::to_value(&value)
                .map_err(|error| minijinja::Error::new(minijinja::ErrorKind::BadSerialization, error.to_string()))
        }
        Some((_, Err(_))) | None => environment.render_str(text, values).map(Value::String),
    }
}

/// What goes without saying: a refusal costs nothing, and a stream that is served ends.
fn complete(step: &mut Step) {
    // A model list is no inference, so the upstream's ledger cannot tell there.
    let inference = step.action.call().is_none_or(|call| call.route != RouteName::Models);
    if inference && step.expect.refused.is_some() && step.expect.upstream.is_none() {
        let none = Count { at_least: 0, at_most: Some(0) };
        step.expect.upstream = Some(Upstream { calls: Some(none), ..Upstream::default() });
    }
    if let Action::Call(call) = &step.action {
        let served = step.expect.status == Some(Status::OneOf(vec![200]));
        if call.stream && served && call.hang_up.is_none() && step.expect.stream.is_none() {
            step.expect.stream = Some(StreamEnd::Complete);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use super::*;

    const STORY: &str = r#"
id: budgets/example
requirement: BUD-1
title: An example
policy:
  virtual_keys: [{ name: agent, budgets: [{ limit: "{{ eval.max_budget }}", reset: "{{ window }}" }] }]
steps:
  - call: { as: agent, stream: "{{ stream }}", via: "{{ via }}" }
    expect: { refused: budget_exceeded }
matrix:
  stream: [false, true]
  via: [bearer, x-api-key]
except: [{ stream: true, via: x-api-key }]
"#;

    fn cases(text: &str) -> Result<Vec<Case>, String> {
        let document = Document::parse(Path::new("a.yaml"), text).unwrap();
        expand(&document, &CaseContext::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_combination_but_the_excepted_is_a_case() {
        let names: Vec<_> = cases(STORY).unwrap().into_iter().map(|case| case.name).collect();
        assert_eq!(names, ["stream=false,via=bearer", "stream=false,via=x-api-key", "stream=true,via=bearer"]);
    }

    #[test]
    fn a_template_keeps_the_type_of_its_value() {
        let case = &cases(STORY).unwrap()[2];
        assert!(case.scenario.steps[0].action.call().unwrap().stream);
        assert_eq!(case.scenario.policy.virtual_keys[0].budgets[0].limit, Usd::new(1.into()));
    }

    #[test]
    fn an_expression_with_braces_of_its_own_keeps_the_type_of_its_value_and_two_make_a_text() {
        let braces = STORY.replace(r#""{{ stream }}""#, r#"'{{ {"a": {"b": stream}}["a"]["b"] }}'"#);
        assert!(cases(&braces).unwrap()[2].scenario.steps[0].action.call().unwrap().stream);
        let environment = Environment::new();
        let rendered = |text| render(&environment, text, &context! { a => 1 }).unwrap();
        assert_eq!(rendered(r#"{{ {"b": {"c": a}} }}"#), serde_json::json!({"b": {"c": 1}}));
        assert_eq!(rendered("{{ a }}-{{ a }}"), "1-1");
        assert_eq!(rendered("{{ a }}{{ a }}"), "11");
    }

    #[test]
    fn a_refusal_is_expected_to_cost_nothing_without_saying_so() {
        let case = &cases(STORY).unwrap()[0];
        let upstream = case.scenario.steps[0].expect.upstream.clone().unwrap();
        assert_eq!(upstream.calls.unwrap().at_most, Some(0));
    }

    #[test]
    fn an_unknown_variable_is_named_with_its_line() {
        let error = cases(&STORY.replace("{{ via }}", "{{ vai }}")).unwrap_err();
        assert!(error.starts_with("a.yaml:8: steps[0].call.via:"), "{error}");
    }

    #[test]
    fn a_call_that_expects_nothing_is_refused() {
        let error = cases(&STORY.replace("{ refused: budget_exceeded }", "{}")).unwrap_err();
        assert!(error.contains("steps[0]: a step that calls must expect something"), "{error}");
    }

    #[test]
    fn four_calls_reach_a_cap_of_any_size() {
        for cap in ["$0.01", "$1", "$3.33", "$1000"] {
            let eval = Eval { model: "m".to_owned(), max_budget: cap.parse().unwrap() };
            let call = Decimal::from(25 + eval.output_tokens()) / Decimal::from(100_000);
            assert!(call * Decimal::from(4) >= eval.max_budget.dollars(), "{cap}");
            assert!(call * Decimal::from(3) < eval.max_budget.dollars(), "{cap}");
        }
    }
}
