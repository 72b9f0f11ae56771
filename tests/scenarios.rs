//! The catalogue in `scenarios/`: whatever it says can be loaded, is complete, and means one thing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::LazyLock,
};

use miette::Diagnostic;
use probity::{
    document::{Document, DocumentError},
    money::Usd,
    period::Period,
    policy::without_provider,
    promise::Unanswered,
    scenario::{
        Action, Case, CaseContext, Catalogue, CheckKind, Eval, Scenario, call::RouteName, case::expand, reason::Reason,
    },
};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    Catalogue::load(Path::new("scenarios"), &CaseContext::default()).unwrap_or_else(|error| {
        let errors: Vec<_> = error.errors.iter().map(explained).collect();
        panic!("{error}:\n{}", errors.join("\n"))
    })
});

fn cases() -> impl Iterator<Item = &'static Case> {
    CATALOGUE.entries.iter().flat_map(|entry| &entry.cases)
}

fn explained(error: &DocumentError) -> String {
    let help = error.help().map(|help| format!("\nhelp: {help}"));
    format!("{error}{}", help.unwrap_or_default())
}

/// What is said about a scenario file of ours in which a word was replaced.
fn complaint(file: &str, word: &str, replacement: &str) -> String {
    let path = Path::new("scenarios").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(word), "{file} does not hold `{word}`");
    let document = Document::parse(&path, &text.replacen(word, replacement, 1)).unwrap();
    explained(&expand(&document, &CaseContext::default()).unwrap_err())
}

#[test]
fn every_file_is_loaded() {
    let areas = std::fs::read_dir("scenarios").unwrap().map(|entry| entry.unwrap().path());
    let files = areas.filter(|path| path.is_dir()).flat_map(|area| std::fs::read_dir(area).unwrap()).count();
    assert_eq!(CATALOGUE.entries.len(), files);
}

#[test]
fn each_requirement_is_proven_by_a_scenario() {
    let proven: HashSet<_> = CATALOGUE.entries.iter().map(|entry| &entry.requirement.id).collect();
    for requirement in &CATALOGUE.requirements {
        assert!(proven.contains(&requirement.id), "{} has no scenario", requirement.id);
    }
}

#[test]
fn requirements_and_checks_have_an_identity_of_their_own() {
    let mut requirements = HashSet::new();
    for requirement in &CATALOGUE.requirements {
        assert!(requirements.insert(&requirement.id), "{} stands twice", requirement.id);
    }
    let mut checks = HashSet::new();
    for check in cases().flat_map(Case::checks) {
        assert!(checks.insert(check.to_string()), "{check} stands twice");
    }
}

#[test]
fn a_requirement_speaks_at_its_level_and_names_its_source() {
    for requirement in &CATALOGUE.requirements {
        let word = requirement.level.word().to_uppercase();
        assert!(requirement.text.split(' ').any(|found| found == word), "{} does not say {word}", requirement.id);
        assert!(!requirement.source.is_empty(), "{} has no source", requirement.id);
    }
}

#[test]
fn the_scenarios_of_an_area_prove_requirements_of_that_area() {
    let mut areas: HashMap<&str, &str> = HashMap::new();
    for entry in &CATALOGUE.entries {
        let prefix = entry.requirement.id.split_once('-').unwrap().0;
        assert_eq!(*areas.entry(prefix).or_insert(entry.area()), entry.area(), "{}", entry.id);
    }
}

#[test]
fn each_case_checks_more_than_that_its_steps_could_be_done() {
    for case in cases() {
        let id = &case.scenario.id;
        let checks = case.checks();
        assert!(checks.iter().any(|check| check.kind != CheckKind::Done), "{id}[{}] checks nothing", case.name);
        assert!(case.scenario.why.is_some(), "{id} does not say why");
    }
}

#[test]
fn a_refusal_that_is_the_gateways_own_is_expected_to_cost_nothing() {
    for case in cases() {
        for (index, step) in case.scenario.steps.iter().enumerate() {
            let Some(refused) = &step.expect.refused else {
                continue;
            };
            // A model list is no inference, so the ledger cannot tell there.
            let lists = step.action.call().is_some_and(|call| call.route == RouteName::Models);
            if lists || refused.0 == [Reason::UpstreamFailed] {
                continue;
            }
            let calls = step.expect.upstream.as_ref().and_then(|upstream| upstream.calls);
            assert_eq!(calls.and_then(|calls| calls.at_most), Some(0), "{} step {}", case.scenario.id, index + 1);
        }
    }
}

/// The models that the runner adds to a script are those of the usual world.
#[test]
fn each_call_asks_for_a_model_that_its_upstream_has() {
    let usual = mock_upstream::Script::usual();
    for case in cases() {
        for call in case.scenario.steps.iter().filter_map(|step| step.action.call()) {
            let model = without_provider(&call.model, &case.scenario.policy);
            let known = case.scenario.upstream.models.contains_key(model) || usual.models.contains_key(model);
            assert!(known, "{} calls `{}`", case.scenario.id, call.model);
        }
    }
}

#[test]
fn each_script_of_an_upstream_can_be_played() {
    for case in cases() {
        let changed = case.scenario.steps.iter().filter_map(|step| match &step.action {
            Action::Upstream(script) => Some(script),
            _ => None,
        });
        for script in changed.chain([&case.scenario.upstream]) {
            let id = &case.scenario.id;
            assert_eq!(script.validate(), Ok(()), "{id}");
            let policy: HashSet<_> = case.scenario.policy.providers.iter().map(|provider| &provider.name).collect();
            assert!(script.providers.keys().all(|name| policy.contains(name)), "{id}: a fault that nobody meets");
        }
    }
}

#[test]
fn a_cases_scenario_is_written_and_read_back() {
    for case in cases() {
        let written = serde_json::to_value(&case.scenario).unwrap();
        let read: Scenario = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), written, "{}[{}]", case.scenario.id, case.name);
    }
}

#[test]
fn what_a_file_says_is_what_is_written() {
    for entry in &CATALOGUE.entries {
        let file = entry.document.value();
        let written = serde_json::to_value(&entry.cases[0].scenario).unwrap();
        for field in ["id", "requirement", "title", "why", "needs", "matrix", "except"] {
            let stated = file.get(field).filter(|value| !value.is_null());
            assert!(stated.is_none_or(|stated| Some(stated) == written.get(field)), "{}: {field}", entry.id);
        }
        let steps = |value: &Value| value.get("steps").and_then(Value::as_array).map(Vec::len);
        assert_eq!(steps(file), steps(&written), "{}", entry.id);
    }
}

#[test]
fn a_typo_in_a_field_is_named_with_file_line_and_the_word_that_was_meant() {
    insta::assert_snapshot!(complaint("budgets/virtual-key-trips.yaml", "budgets:", "bugdets:"), @"
    scenarios/budgets/virtual-key-trips.yaml:11: policy.virtual_keys[0].bugdets: unknown field `bugdets`, expected one of `name`, `value`, `active`, `expires`, `team`, `customer`, `providers`, `budgets`, `limits`
    help: did you mean `budgets`?
    ");
}

#[test]
fn a_typo_in_a_reason_is_named_with_file_line_and_the_word_that_was_meant() {
    insta::assert_snapshot!(complaint("keys/disabled.yaml", "key_blocked", "key_bloked"), @"
    scenarios/keys/disabled.yaml:15: steps[0].expect.refused: unknown variant `key_bloked`, expected one of `budget_exceeded`, `request_limited`, `token_limited`, `key_missing`, `key_unknown`, `key_blocked`, `key_conflict`, `model_unpriced`, `model_blocked`, `headers_missing`, `upstream_failed`
    help: did you mean `key_blocked`?
    ");
}

/// What lies between files is wrong: names of keys and requirements that nobody has.
#[test]
fn everything_that_is_wrong_in_a_folder_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = folder.path().join("budgets");
    std::fs::create_dir(&budgets).unwrap();
    std::fs::copy("scenarios/requirements.yaml", folder.path().join("requirements.yaml")).unwrap();
    for (name, word, replacement) in [
        ("virtual-key-trips", "BUD-1", "BDU-1"),
        ("second-key-unaffected", "as: bystander", "as: bystender"),
        ("window-ends", "id: budgets/window-ends", "id: budgets/window-end"),
        ("messages-route", "- call: { as: agent, route: chat }", "- call: { as: agent, key: x }"),
    ] {
        let text = std::fs::read_to_string(format!("scenarios/budgets/{name}.yaml")).unwrap();
        assert!(text.contains(word), "{name} does not hold `{word}`");
        std::fs::write(budgets.join(name).with_extension("yaml"), text.replacen(word, replacement, 1)).unwrap();
    }
    let error = Catalogue::load(folder.path(), &CaseContext::default()).unwrap_err();
    let told: Vec<_> = error.errors.iter().map(explained).collect();
    let told = told.join("\n").replace(&folder.path().display().to_string(), "scenarios");
    insta::assert_snapshot!(told, @"
    scenarios/budgets/messages-route.yaml:18: steps[2].call.key: a call has one credential: `as` (a key of the policy) or `key` (a literal value)
    scenarios/budgets/second-key-unaffected.yaml:20: steps[2].call.as: there is no virtual key `bystender` in this scenario
    help: did you mean `bystander`?
    scenarios/budgets/virtual-key-trips.yaml:2: requirement: there is no requirement BDU-1 in scenarios/requirements.yaml
    help: did you mean `BUD-1`?
    scenarios/budgets/window-ends.yaml:1: id: the id must say where the file stands: `budgets/window-ends`
    ");
}

/// A scenario in which every name means something.
const NAMED: &str = "
id: budgets/named
requirement: BUD-1
title: Every name means something
policy:
  providers: [{ name: primary }, { name: second }]
  virtual_keys:
    - { name: agent, providers: [{ provider: primary }, { provider: second }] }
upstream:
  providers: { second: {} }
  models: { mock-2: {} }
steps:
  - admin: { create_key: { name: made, providers: [{ provider: primary }] } }
  - admin: { edit_budgets: { of: made, budgets: [] } }
  - admin: { disable_key: made }
  - admin: { delete_key: agent }
  - upstream: { providers: { primary: {} } }
  - burst: { clients: 2, call: { as: agent, model: mock-2 } }
    expect: { upstream: { order: [primary, second] } }
  - call: { as: made, route: \"{{ route }}\" }
    expect: { refused: budget_exceeded, names: { scope: virtual_key } }
matrix: { route: [chat, embeddings] }
except: [{ route: embeddings }]
";

/// What is said of [`NAMED`] with a text in place of another.
fn told(from: &str, to: &str) -> String {
    assert!(NAMED.contains(from), "the scenario does not hold `{from}`");
    told_of("budgets/named.yaml", &NAMED.replacen(from, to, 1))
}

/// What is said of a scenario file that stands alone in its folder.
fn told_of(file: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("budgets")).unwrap();
    std::fs::copy("scenarios/requirements.yaml", folder.path().join("requirements.yaml")).unwrap();
    std::fs::write(folder.path().join(file), text).unwrap();
    let loaded = Catalogue::load(folder.path(), &CaseContext::default());
    let told = loaded.map_or_else(|error| error.errors.iter().map(explained).collect(), |_| String::new());
    told.replace(&folder.path().display().to_string(), "scenarios")
}

#[test]
fn a_name_that_nobody_has_is_named_with_its_line_and_the_one_that_was_meant() {
    assert_eq!(told("title", "title"), "");
    let wrong = [
        ("agent, providers: [{ provider: primary }", "agent, providers: [{ provider: primray }"),
        ("providers: { second: {} }", "providers: { sceond: {} }"),
        ("made, providers: [{ provider: primary }", "made, providers: [{ provider: primray }"),
        ("of: made, budgets", "of: mdae, budgets"),
        ("of: made, budgets", "of: team:made, budgets"),
        ("of: made, budgets", "of: tema:made, budgets"),
        ("disable_key: made", "disable_key: mdae"),
        ("delete_key: agent", "delete_key: agnet"),
        ("providers: { primary: {} }", "providers: { primray: {} }"),
        ("model: mock-2", "model: mock-3"),
        ("order: [primary, second]", "order: [primary, secnod]"),
        ("scope: virtual_key", "scope: virtual-key"),
        ("except: [{ route:", "except: [{ ruote:"),
        ("except: [{ route: embeddings", "except: [{ route: embedding"),
    ];
    let told: Vec<_> = wrong.iter().map(|(from, to)| told(from, to)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_example_of_the_documentation_is_a_scenario() {
    let page = std::fs::read_to_string("docs/scenarios.md").unwrap();
    let (_, example) = page.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert_eq!(told_of("budgets/example.yaml", example), "");
}

#[test]
fn what_would_hold_of_any_gateway_is_no_scenario() {
    let wrong = [
        ("clients: 2", "clients: 0"),
        ("clients: 2", "clients: 2, requests: 0"),
        ("as: made, route", "as: made, times: 0, route"),
        ("{ upstream: { order: [primary, second] } }", "{}"),
        ("{ upstream: { order: [primary, second] } }", "{ upstream: {} }"),
        ("{ upstream: { order: [primary, second] } }", "{ upstream: { keys_hidden: false, calls: 2 } }"),
        ("{ upstream: { order: [primary, second] } }", "{ upstream: { calls: { at_least: 3, at_most: 2 } } }"),
        ("{ upstream: { order: [primary, second] } }", "{ usage: { made: { at_least: $2, at_most: $1 } } }"),
        ("{ upstream: { order: [primary, second] } }", "{ status: [] }"),
        ("{ upstream: { order: [primary, second] } }", "{ status: promised }"),
        ("refused: budget_exceeded", "refused: []"),
        ("{ name: primary }, { name: second }", "{ name: primary }, { name: primary }"),
        ("matrix: { route: [chat, embeddings] }", "matrix: { route: [chat, chat, embeddings] }"),
        ("title: ", "instance: shared\ntitle: "),
    ];
    let told: Vec<_> = wrong.iter().map(|(from, to)| told(from, to)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_eval_harnesss_contract_can_be_read_for_any_model_and_cap(
        model in "[a-z][a-z0-9./:-]{0,40}",
        hundredths in 1_i64..1_000_000,
        seconds in 1_u32..86_400,
    ) {
        let max_budget = Usd::new(Decimal::new(hundredths, 2));
        let context = CaseContext {
            window: Period::seconds(seconds),
            eval: Eval { model: model.clone(), max_budget },
            ..CaseContext::default()
        };
        for entry in CATALOGUE.entries.iter().filter(|entry| entry.area() == "harness") {
            for case in entry.cases_in(&context).unwrap() {
                prop_assert_eq!(case.scenario.policy.virtual_keys[0].budgets[0].limit, max_budget);
                prop_assert_eq!(&case.scenario.policy.price_overrides[0].model, &model);
                prop_assert!(case.scenario.upstream.models.contains_key(&model));
                prop_assert_eq!(case.scenario.upstream.validate(), Ok(()));
            }
        }
    }

    #[test]
    fn every_scenario_can_be_read_for_any_promise(seconds in 1_u32..86_400, free in any::<bool>()) {
        let unanswered_calls = if free { Unanswered::Free } else { Unanswered::Held };
        let context = CaseContext { window: Period::seconds(seconds), unanswered_calls, ..CaseContext::default() };
        for entry in &CATALOGUE.entries {
            let cases = entry.cases_in(&context).unwrap();
            prop_assert_eq!(cases.len(), entry.cases.len());
        }
    }
}
