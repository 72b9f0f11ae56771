#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::clock::Moment;
use crate::config::{AllowList, provider_tests};
use crate::grant::Grant;
use crate::identity::KeyHash;
use crate::policy::GrantPolicy;
use crate::store::{KeyRow, Membership, Standing};

fn providers(names: &[&str]) -> Providers {
    names
        .iter()
        .map(|name| {
            let provider = Provider { is_keyless: true, ..provider_tests::provider(name, Vec::new()) };
            (Arc::from(*name), Arc::new(provider))
        })
        .collect()
}

fn key(grants: &[(&str, Option<&str>, &[&str])]) -> VirtualKey {
    let grants = grants
        .iter()
        .map(|(provider, weight, models)| {
            let models = models.iter().map(|model| (*model).to_owned()).collect::<Vec<_>>();
            let allowed_models = if models == ["*"] { AllowList::All } else { AllowList::Only(models) };
            let grant = Grant {
                id: (*provider).into(),
                provider: (*provider).into(),
                weight: weight.map(|text| serde_json::from_str(text).unwrap()),
                allowed_models,
                blacklisted_models: vec!["Blocked".to_owned()],
                key_ids: AllowList::All,
            };
            GrantPolicy { grant, meters: Vec::new() }
        })
        .collect();
    let row = KeyRow {
        id: "vk".into(),
        name: "agent".to_owned(),
        description: String::new(),
        is_active: true,
        value_hash: KeyHash::of("sk"),
        value_hint: String::new(),
        membership: Membership::None,
        calendar_aligned: false,
        expires_at: None,
        retired_hash: None,
        file_hash: None,
        created_at: Moment::from_millis(0),
        updated_at: Moment::from_millis(0),
        standing: Standing::Live,
    };
    VirtualKey { row: row.into(), grants, meters: Vec::new() }
}

fn order(plan: &Plan) -> Vec<String> {
    plan.first
        .iter()
        .chain(&plan.fallbacks)
        .map(|candidate| format!("{}/{}", candidate.provider.name, candidate.model))
        .collect()
}

const ALL: &[&str] = &["*"];

#[test]
fn what_weighs_nothing_is_tried_last_and_in_the_files_order() {
    let key = key(&[("b", Some("0"), ALL), ("a", Some("1"), ALL), ("c", Some("0"), ALL)]);
    for dice in 0..20 {
        let plan = plan("mock-1", &[], Some(&key), &Pin::default(), &providers(&["a", "b", "c"]), dice);
        assert_eq!(order(&plan), ["a/mock-1", "b/mock-1", "c/mock-1"]);
    }
}

#[test]
fn the_rest_follow_by_descending_weight() {
    let key = key(&[("a", Some("0.1"), ALL), ("b", Some("0.7"), ALL), ("c", Some("0.2"), ALL)]);
    // 0.95 of the whole falls on the last in descending order.
    let plan = plan("mock-1", &[], Some(&key), &Pin::default(), &providers(&["a", "b", "c"]), 950_000);
    assert_eq!(order(&plan), ["a/mock-1", "b/mock-1", "c/mock-1"]);
}

#[test]
fn a_provider_without_a_weight_is_used_only_by_name() {
    let key = key(&[("a", None, ALL), ("b", Some("1"), ALL)]);
    let providers = providers(&["a", "b"]);
    assert_eq!(order(&plan("mock-1", &[], Some(&key), &Pin::default(), &providers, 0)), ["b/mock-1"]);
    assert_eq!(order(&plan("a/mock-1", &[], Some(&key), &Pin::default(), &providers, 0)), ["a/mock-1"]);
}

#[test]
fn the_callers_fallbacks_stay_within_the_key_and_none_is_tried_twice() {
    let key = key(&[("a", Some("1"), ALL), ("b", Some("0"), &["mock-2"])]);
    let fallbacks = ["a/mock-1", "b/mock-2", "b/mock-1", "c/mock-1", "b/mock-2"];
    let fallbacks: Vec<String> = fallbacks.iter().map(|text| (*text).to_owned()).collect();
    let plan = plan("a/mock-1", &fallbacks, Some(&key), &Pin::default(), &providers(&["a", "b", "c"]), 0);
    assert_eq!(order(&plan), ["a/mock-1", "b/mock-2"]);
}

#[test]
fn a_fallback_that_names_no_provider_is_refused_by_name() {
    let key = key(&[("a", Some("1"), ALL), ("b", Some("0"), ALL)]);
    for named in ["mock-1", "unknown/mock-1", ""] {
        let fallbacks = ["b/mock-1".to_owned(), named.to_owned()];
        let plan = plan("mock-1", &fallbacks, Some(&key), &Pin::default(), &providers(&["a", "b"]), 0);
        assert_eq!(plan.first.err(), Some(RouteError::Fallback(named.to_owned())));
        assert!(plan.fallbacks.is_empty(), "{named}");
    }
}

#[test]
fn fallbacks_of_which_the_key_allows_none_leave_it_its_own() {
    let key = key(&[("a", Some("1"), ALL), ("b", Some("0"), ALL)]);
    let fallbacks = ["c/mock-1".to_owned()];
    let plan = plan("mock-1", &fallbacks, Some(&key), &Pin::default(), &providers(&["a", "b", "c"]), 0);
    assert_eq!(order(&plan), ["a/mock-1", "b/mock-1"]);
}

#[test]
fn what_a_key_does_not_allow_is_refused_by_name() {
    let key = key(&[("a", Some("1"), &["mock-1", "blocked"])]);
    let providers = providers(&["a", "b"]);
    let refusal = |model: &str| plan(model, &[], Some(&key), &Pin::default(), &providers, 0).first.err().unwrap();
    assert_eq!(refusal("b/mock-1"), RouteError::ProviderBlocked("b".to_owned()));
    assert_eq!(refusal("a/mock-2"), RouteError::ModelBlocked("mock-2".to_owned()));
    assert_eq!(refusal("mock-2"), RouteError::ModelBlocked("mock-2".to_owned()));
    assert_eq!(refusal("blocked"), RouteError::ModelBlocked("blocked".to_owned()));
    assert_eq!(refusal("unknown/mock-1"), RouteError::ModelBlocked("unknown/mock-1".to_owned()));
}

#[test]
fn without_a_key_the_first_provider_of_the_file_serves() {
    let plan = plan("any/slashes/in/it", &[], None, &Pin::default(), &providers(&["b", "a"]), 7);
    assert_eq!(order(&plan), ["b/any/slashes/in/it"]);
}
