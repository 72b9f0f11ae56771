//! Every field that `config.json` may have, and the test that shows its effect.
//!
//! A field that is new fails here until it has a row: what is accepted has an effect, or says
//! nothing and the row says why.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::file::ConfigFile;
use super::governance;
use super::load::Wrong;
use super::provider::Providers;

/// A place, as the JSON around the field, `@` where it stands; and the fields there, each with
/// a test's name, or with `-` and a reason.
const FIELDS: &[(&str, &[(&str, &str)])] = &[
    (
        "{@}",
        &[
            ("$schema", "- for editors"),
            ("version", "an_empty_list_means_what_the_files_version_says"),
            ("encryption_key", "a_credential_is_encrypted_and_needs_the_key_it_was_encrypted_with"),
            ("client", "- a section"),
            ("server", "- a section"),
            ("plugins", "- a section"),
            ("framework", "- a section"),
            ("config_store", "- a section"),
            ("logs_store", "- a section"),
            ("providers", "- a section"),
            ("auth_config", "- a section"),
            ("governance", "- a section"),
        ],
    ),
    (
        r#"{"client":{@}}"#,
        &[
            ("required_headers", "a_missing_header_is_400_on_every_route_before_the_key_and_the_body_are_looked_at"),
            ("enforce_auth_on_inference", "each_switch_makes_a_virtual_key_mandatory"),
            ("enforce_governance_header", "each_switch_makes_a_virtual_key_mandatory"),
            ("enforce_scim_auth", "each_switch_makes_a_virtual_key_mandatory"),
            ("allow_direct_keys", "what_cannot_be_honoured_prevents_the_start_and_is_named"),
            ("drop_excess_requests", "what_cannot_be_honoured_prevents_the_start_and_is_named"),
            ("enable_governance", "what_cannot_be_honoured_prevents_the_start_and_is_named"),
            ("max_request_body_size_mb", "a_body_that_is_too_large_is_413"),
            ("max_response_body_size_mb", "an_answer_larger_than_it_may_be_is_given_up_and_costs_what_was_held"),
            ("disable_db_pings_in_health", "health_says_whether_the_database_can_be_written"),
            ("whitelisted_routes", "only_the_administrator_reads_metrics_unless_the_route_is_whitelisted"),
            ("enable_logging", "without_a_log_nothing_is_kept_and_its_route_says_why"),
            ("disable_content_logging", "what_was_said_is_kept_only_where_the_configuration_says_so"),
            ("log_retention_days", "the_log_survives_a_stop_and_forgets_what_is_too_old"),
            ("budget_admission", "post_paid_admits_what_is_asked_while_the_cap_is_not_spent"),
            ("unpriced_models", "without_a_budget_or_where_it_is_allowed_a_model_without_a_price_passes"),
            ("durability", "a_database_for_the_loss_of_power_is_made_and_used"),
        ],
    ),
    (
        r#"{"server":{@}}"#,
        &[
            ("read_buffer_size", "a_head_that_is_too_large_or_has_too_many_lines_is_431"),
            ("head_timeout_in_seconds", "a_head_that_does_not_come_in_time_ends_the_connection"),
            ("body_timeout_in_seconds", "a_body_that_does_not_come_in_time_is_408_and_costs_nothing"),
            ("write_timeout_in_seconds", "a_caller_who_does_not_read_its_stream_is_left_and_pays"),
            ("drain_timeout_in_seconds", "a_stop_does_not_wait_longer_than_it_may"),
            ("max_connections", "connections_beyond_the_most_wait_their_turn"),
        ],
    ),
    (
        r#"{"plugins":[{@}]}"#,
        &[
            ("name", "- only `governance` is accepted"),
            ("enabled", "what_cannot_be_honoured_prevents_the_start_and_is_named"),
            ("config", "- a section"),
        ],
    ),
    (
        r#"{"plugins":[{"name":"governance","enabled":true,"config":{@}}]}"#,
        &[("is_vk_mandatory", "each_switch_makes_a_virtual_key_mandatory")],
    ),
    (r#"{"framework":{@}}"#, &[("pricing", "- a section")]),
    (
        r#"{"framework":{"pricing":{@}}}"#,
        &[
            ("pricing_url", "a_sheet_that_is_read_again_counts_and_one_that_cannot_be_leaves_prices_as_they_are"),
            ("model_parameters_url", "the_models_of_the_parameters_bound_what_they_answer"),
            ("pricing_sync_interval", "a_sheet_is_read_again_after_its_interval"),
        ],
    ),
    (
        r#"{"config_store":{@}}"#,
        &[
            ("enabled", "values_that_make_no_sense_are_named_with_their_field"),
            ("type", "- only `sqlite` is accepted"),
            ("config", "- a section"),
        ],
    ),
    (r#"{"config_store":{"enabled":true,"config":{@}}}"#, &[("path", "two_folders_cannot_share_a_database")]),
    (
        r#"{"auth_config":{@}}"#,
        &[
            ("is_enabled", "without_an_administrator_nobody_can_log_in"),
            ("admin_username", "the_sdks_gateway_keeps_its_administration_closed_and_its_provider_keys_to_itself"),
            ("admin_password", "the_sdks_gateway_keeps_its_administration_closed_and_its_provider_keys_to_itself"),
            ("disable_auth_on_inference", "what_cannot_be_honoured_prevents_the_start_and_is_named"),
        ],
    ),
    (
        r#"{"providers":{"p":{@}}}"#,
        &[("keys", "- a section"), ("network_config", "- a section"), ("custom_provider_config", "- a section")],
    ),
    (
        r#"{"providers":{"p":{"keys":[{@}]}}}"#,
        &[
            ("id", "a_pinned_key_is_the_one_that_is_used"),
            ("name", "a_pinned_key_is_the_one_that_is_used"),
            ("value", "a_providers_key_reaches_no_caller_and_its_401_is_not_taken_for_the_gateways"),
            ("weight", "the_sdks_gateway_uses_both_provider_keys_by_weight_and_tries_again_as_often_as_it_says"),
            ("models", "an_empty_list_means_what_the_files_version_says"),
            ("blacklisted_models", "a_model_that_a_providers_key_blocks_is_blocked_in_whatever_case_it_is_written"),
            ("enabled", "a_providers_key_that_is_not_enabled_is_not_used"),
            ("aliases", "an_azure_deployment_is_named_in_the_path_and_its_key_in_api_key"),
            ("azure_key_config", "- a section"),
            ("vllm_key_config", "- a section"),
            ("ollama_key_config", "- a section"),
            ("sgl_key_config", "- a section"),
        ],
    ),
    (
        r#"{"providers":{"p":{"keys":[{"name":"k","azure_key_config":{@}}]}}}"#,
        &[
            ("endpoint", "an_azure_deployment_is_named_in_the_path_and_its_key_in_api_key"),
            ("api_version", "an_azure_deployment_is_named_in_the_path_and_its_key_in_api_key"),
            ("deployments", "an_azure_deployment_is_named_in_the_path_and_its_key_in_api_key"),
        ],
    ),
    (
        r#"{"providers":{"p":{"keys":[{"name":"k","vllm_key_config":{@}}]}}}"#,
        &[
            ("url", "a_server_of_ones_own_stands_where_its_key_says_and_serves_its_one_model"),
            ("model_name", "a_server_of_ones_own_stands_where_its_key_says_and_serves_its_one_model"),
        ],
    ),
    (
        r#"{"providers":{"p":{"network_config":{@}}}}"#,
        &[
            ("base_url", "the_eval_harness_stops_at_its_cap_however_the_key_is_sent"),
            ("default_request_timeout_in_seconds", "each_failure_of_a_provider_has_its_status_and_type"),
            ("stream_idle_timeout_in_seconds", "a_broken_stream_ends_as_a_failure_and_is_charged"),
            ("max_retries", "the_sdks_gateway_uses_both_provider_keys_by_weight_and_tries_again_as_often_as_it_says"),
            ("retry_backoff_initial", "the_pauses_between_tries_grow_from_the_first_to_the_longest"),
            ("retry_backoff_max", "the_pauses_between_tries_grow_from_the_first_to_the_longest"),
            ("allow_private_network", "a_private_address_is_called_only_where_the_file_allows_it"),
            ("extra_headers", "extra_headers_reach_the_provider"),
        ],
    ),
    (
        r#"{"providers":{"p":{"custom_provider_config":{@}}}}"#,
        &[
            ("base_provider_type", "a_message_costs_the_same_natively_and_translated_and_trips_with_402"),
            ("is_key_less", "a_keyless_provider_is_called_without_a_key"),
            ("allowed_requests", "a_custom_provider_is_asked_for_nothing_but_what_it_may"),
        ],
    ),
    (
        r#"{"governance":{@}}"#,
        &[
            ("auth_config", "- a section"),
            ("customers", "- a section"),
            ("teams", "- a section"),
            ("virtual_keys", "- a section"),
            ("model_configs", "- a section"),
            ("providers", "- a section"),
            ("budgets", "- a section"),
            ("rate_limits", "- a section"),
            ("pricing_overrides", "- a section"),
        ],
    ),
    (
        r#"{"governance":{"pricing_overrides":[{@}]}}"#,
        &[
            ("id", "an_edit_of_the_files_override_holds_until_the_file_changes"),
            ("name", "- for people; the API shows it"),
            ("scope_kind", "the_providers_key_that_serves_is_charged_and_the_dearest_is_held"),
            ("virtual_key_id", "the_providers_key_that_serves_is_charged_and_the_dearest_is_held"),
            ("provider_id", "what_cannot_be_honoured_is_refused_by_name_and_changes_nothing"),
            ("provider_key_id", "the_providers_key_that_serves_is_charged_and_the_dearest_is_held"),
            ("provider_key_name", "the_providers_key_that_serves_is_charged_and_the_dearest_is_held"),
            ("match_type", "what_cannot_be_honoured_is_refused_by_name_and_changes_nothing"),
            ("pattern", "a_price_override_prices_a_model_that_no_sheet_knows"),
            ("request_types", "what_cannot_be_honoured_is_refused_by_name_and_changes_nothing"),
            ("pricing_patch", "a_price_override_prices_a_model_that_no_sheet_knows"),
            ("patch", "an_override_counts_from_the_next_request_on_and_survives_a_kill"),
        ],
    ),
    (
        r#"{"logs_store":{@}}"#,
        &[
            ("enabled", "without_a_log_nothing_is_kept_and_its_route_says_why"),
            ("type", "- only `sqlite` is accepted"),
            ("config", "- a section"),
        ],
    ),
    (
        r#"{"governance":{"budgets":[{@}]}}"#,
        &[
            ("id", "an_edit_of_limit_window_or_alignment_keeps_what_was_used_also_over_a_kill"),
            ("max_limit", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("reset_duration", "the_tighter_of_two_windows_trips_and_opens_again"),
            ("customer_id", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("team_id", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("virtual_key_id", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("provider_config_id", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("model_config_id", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("provider", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("calendar_aligned", "an_aligned_window_ends_at_the_calendars_boundary_neither_early_nor_late"),
        ],
    ),
    (
        r#"{"governance":{"rate_limits":[{@}]}}"#,
        &[
            ("id", "each_way_to_write_a_rate_limit_trips_after_two_calls"),
            ("request_max_limit", "a_request_limit_answers_429_with_retry_after_and_opens_again"),
            ("request_reset_duration", "a_request_limit_answers_429_with_retry_after_and_opens_again"),
            ("token_max_limit", "a_token_limit_trips_at_the_request_after_the_one_that_reached_it"),
            ("token_reset_duration", "a_token_limit_trips_at_the_request_after_the_one_that_reached_it"),
            ("calendar_aligned", "a_limits_own_alignment_wins_over_its_owners"),
        ],
    ),
];

/// The fields of an owner's budgets and limits, and the tests of their spellings.
const METERS: [(&str, &str); 8] = [
    ("budgets", "each_way_to_write_a_budget_trips_after_two_calls"),
    ("budget", "each_way_to_write_a_budget_trips_after_two_calls"),
    ("budget_id", "each_way_to_write_a_budget_trips_after_two_calls"),
    ("budget_ids", "each_way_to_write_a_budget_trips_after_two_calls"),
    ("rate_limit", "each_way_to_write_a_rate_limit_trips_after_two_calls"),
    ("rate_limits", "each_way_to_write_a_rate_limit_trips_after_two_calls"),
    ("rate_limit_id", "each_way_to_write_a_rate_limit_trips_after_two_calls"),
    ("rate_limit_ids", "each_way_to_write_a_rate_limit_trips_after_two_calls"),
];

/// The owners of budgets and limits, with their own fields.
const OWNERS: &[(&str, &[(&str, &str)])] = &[
    (
        r#"{"governance":{"customers":[{@}]}}"#,
        &[
            ("calendar_aligned", "customers_teams_and_models_can_follow_the_calendar_too"),
            ("id", "a_customers_budget_counts_its_teams_and_its_own_keys"),
            ("name", "a_budget_of_each_level_trips_exactly_and_names_its_level"),
        ],
    ),
    (
        r#"{"governance":{"teams":[{@}]}}"#,
        &[
            ("calendar_aligned", "customers_teams_and_models_can_follow_the_calendar_too"),
            ("id", "a_team_budget_is_shared_by_its_keys_also_in_a_burst"),
            ("name", "a_budget_of_each_level_trips_exactly_and_names_its_level"),
            ("customer_id", "a_customers_budget_counts_its_teams_and_its_own_keys"),
        ],
    ),
    (
        r#"{"governance":{"virtual_keys":[{@}]}}"#,
        &[
            ("id", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("name", "a_spent_budget_is_refused_with_402_and_says_which_cap_and_whose"),
            ("description", "- for people; the API shows it"),
            ("value", "the_eval_harness_stops_at_its_cap_however_the_key_is_sent"),
            ("is_active", "a_disabled_key_is_403"),
            ("calendar_aligned", "an_aligned_window_ends_at_the_calendars_boundary_neither_early_nor_late"),
            ("expires_at", "a_key_of_the_file_that_has_expired_is_403"),
            ("team_id", "a_team_budget_is_shared_by_its_keys_also_in_a_burst"),
            ("customer_id", "a_customers_budget_counts_its_teams_and_its_own_keys"),
            ("provider_configs", "providers_and_models_that_a_key_does_not_allow_are_403"),
        ],
    ),
    (
        r#"{"governance":{"virtual_keys":[{"name":"k","provider_configs":[{@}]}]}}"#,
        &[
            ("id", "each_way_to_write_a_budget_trips_after_two_calls"),
            ("provider", "providers_and_models_that_a_key_does_not_allow_are_403"),
            ("weight", "providers_are_tried_in_the_order_of_their_weights_and_none_twice"),
            ("allowed_models", "providers_and_models_that_a_key_does_not_allow_are_403"),
            ("blacklisted_models", "geminis_collection_before_a_model_is_no_way_around_a_list_of_models"),
            ("key_ids", "a_virtual_key_uses_no_provider_key_but_its_own"),
        ],
    ),
    (
        r#"{"governance":{"model_configs":[{@}]}}"#,
        &[
            ("calendar_aligned", "customers_teams_and_models_can_follow_the_calendar_too"),
            ("id", "a_budget_of_each_level_trips_exactly_and_names_its_level"),
            ("model_name", "a_models_budget_leaves_other_models_be_and_is_not_evaded_by_capitals"),
            ("provider", "a_budget_of_each_level_trips_exactly_and_names_its_level"),
            ("scope", "a_model_of_one_key_is_limited_for_that_key_alone"),
            ("scope_id", "a_model_of_one_key_is_limited_for_that_key_alone"),
        ],
    ),
    (
        r#"{"governance":{"providers":[{@}]}}"#,
        &[("name", "a_providers_budget_counts_every_key_and_none_and_leaves_other_providers_be")],
    ),
];

/// The fields that the file may have at a place: serde names them when it meets another.
fn accepted(place: &str) -> BTreeSet<String> {
    let text = place.replace('@', r#""?":0"#);
    let message = match serde_json::from_str::<ConfigFile<'_>>(&text) {
        Err(error) => error.to_string(),
        // The items of the long lists are read when they are checked.
        Ok(file) => match governance::check(file.governance, &Providers::default(), false) {
            Err(Wrong::Shape(item)) => item.error.to_string(),
            _ => panic!("it was accepted: {text}"),
        },
    };
    let Some((_, fields)) = message.split_once("unknown field `?`, expected ") else { panic!("{place}: {message}") };
    fields.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// All tests that start a gateway: the name of each, and the text of its file with the fixtures
/// that it reads.
fn tests() -> HashMap<String, Arc<str>> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway")];
    let mut tests = HashMap::new();
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()) {
            if file.is_dir() {
                folders.push(file);
                continue;
            }
            let mut text = std::fs::read_to_string(file).unwrap();
            let included: Vec<&str> =
                text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            let included: String =
                included.iter().map(|path| std::fs::read_to_string(folder.join(path)).unwrap()).collect();
            text.push_str(&included);
            let text: Arc<str> = text.into();
            let marked = text.split("#[tokio::test").skip(1);
            let named = marked.filter_map(|rest| Some(rest.split_once("fn ")?.1.split_once('(')?.0.to_owned()));
            tests.extend(named.map(|name| (name, Arc::clone(&text))));
        }
    }
    tests
}

/// What is wrong with a row, if anything: a test that is not there, or whose file never has the field.
fn wrong_row(tests: &HashMap<String, Arc<str>>, field: &str, test: &str) -> Option<String> {
    if test.starts_with("- ") {
        return None;
    }
    match tests.get(test) {
        None => Some(format!("there is no test `{test}`")),
        Some(text) if !text.contains(&format!("\"{field}\"")) => Some(format!("`{test}` and its file never have it")),
        Some(_) => None,
    }
}

#[test]
fn every_accepted_field_has_an_effect_that_a_test_shows_or_says_why_not() {
    let tests = tests();
    let mut wrong = Vec::new();
    let owners = OWNERS.iter().map(|(place, rows)| (*place, [*rows, &METERS].concat()));
    for (place, rows) in FIELDS.iter().map(|(place, rows)| (*place, rows.to_vec())).chain(owners) {
        let named: BTreeSet<String> = rows.iter().map(|(field, _)| (*field).to_owned()).collect();
        let accepted = accepted(place);
        wrong.extend(accepted.difference(&named).map(|field| format!("{place}: `{field}` has no row")));
        wrong.extend(named.difference(&accepted).map(|field| format!("{place}: there is no `{field}`")));
        let rows = rows.iter().filter_map(|(field, test)| Some((field, wrong_row(&tests, field, test)?)));
        wrong.extend(rows.map(|(field, problem)| format!("{place} {field}: {problem}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
