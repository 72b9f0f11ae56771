//! What Bifrost documents and this gateway does not do: refused by name, so that
//! no accepted setting is without effect.

/// The place of a section and the names of its fields. A place is a JSON path
/// with every index replaced by `[]`.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "access_profiles",
            "audit_logs",
            "cluster_config",
            "env_label",
            "feature_flags",
            "guardrails_config",
            "large_payload_optimization",
            "load_balancer_config",
            "mcp",
            "scim_config",
            "skills_registry",
            "source_of_truth",
            "vector_store",
            "websocket",
        ],
    ),
    (
        "client",
        &[
            "allow_per_request_content_storage_override",
            "allow_per_request_raw_override",
            "allowed_headers",
            "allowed_origins",
            "async_job_result_ttl",
            "compat",
            "dump_errors_in_console_logs",
            "enable_litellm_fallbacks",
            "header_filter_config",
            "hide_deleted_virtual_keys_in_filters",
            "initial_pool_size",
            "logging_headers",
            "mcp_agent_depth",
            "mcp_code_mode_binding_level",
            "mcp_disable_auto_tool_inject",
            "mcp_external_client_url",
            "mcp_external_server_url",
            "mcp_tool_execution_timeout",
            "mcp_tool_sync_interval",
            "prometheus_labels",
            "routing_chain_max_depth",
            "vk_rotation_cooldown",
        ],
    ),
    ("config_store", &["vault_store"]),
    ("config_store.config", POSTGRES),
    ("logs_store", &["object_storage", "object_storage_exclude_fields", "retention_days", "writer"]),
    ("logs_store.config", POSTGRES),
    ("plugins[]", &["order", "path", "placement", "version"]),
    ("governance", &["business_units", "projects", "roles", "routing_rules", "users"]),
    ("governance.budgets[]", &["current_usage", "last_reset"]),
    (
        "governance.rate_limits[]",
        &["metric", "request_current_usage", "request_last_reset", "token_current_usage", "token_last_reset"],
    ),
    ("governance.pricing_overrides[]", &["config_hash"]),
    (
        "governance.providers[]",
        &[
            "concurrency_and_buffer_size",
            "custom_provider_config",
            "description",
            "id",
            "network_config",
            "openai_config",
            "proxy_config",
            "send_back_raw_request",
            "send_back_raw_response",
            "store_raw_request_response",
        ],
    ),
    ("governance.teams[]", &["business_unit_id", "claims", "config", "profile", "source_id", "virtual_key_count"]),
    ("governance.virtual_keys[]", &["mcp_configs"]),
    ("governance.virtual_keys[].provider_configs[]", &["allow_all_keys", "allowed_keys", "keys", "virtual_key_id"]),
    (
        "providers[]",
        &[
            "concurrency_and_buffer_size",
            "openai_config",
            "proxy_config",
            "send_back_raw_request",
            "send_back_raw_response",
            "store_raw_request_response",
        ],
    ),
    ("providers[].keys[]", &["bedrock_key_config", "replicate_key_config", "use_for_batch_api", "vertex_key_config"]),
    ("providers[].keys[].azure_key_config", &["client_id", "client_secret", "scopes", "tenant_id"]),
    ("providers[].custom_provider_config", &["does_not_send_done_marker", "request_path_overrides"]),
    (
        "providers[].network_config",
        &["beta_header_overrides", "ca_cert_pem", "enforce_http2", "insecure_skip_verify", "max_conns_per_host"],
    ),
];

/// Where a database of PostgreSQL's is.
const POSTGRES: &[&str] = &[
    "conn_max_lifetime",
    "db_name",
    "host",
    "matview_refresh_interval",
    "max_idle_conns",
    "max_open_conns",
    "password",
    "password_command",
    "port",
    "ssl_mode",
    "user",
];

/// Whether Bifrost has such a field at `place`.
pub(super) fn is_bifrosts(place: &str, field: &str) -> bool {
    let place = normalised(place);
    UNSUPPORTED.iter().any(|(known, fields)| *known == place && fields.contains(&field))
}

/// `governance.budgets[3]` is at `governance.budgets[]`, `providers.openai` at `providers[]`.
fn normalised(place: &str) -> String {
    let mut parts = Vec::new();
    for part in place.split('.') {
        let part = part
            .split('[')
            .next()
            .map_or(String::new(), |name| if part.contains('[') { format!("{name}[]") } else { name.to_owned() });
        // The names of providers stand where elsewhere an index does.
        if parts == ["providers"] {
            parts = vec!["providers[]".to_owned()];
        } else {
            parts.push(part);
        }
    }
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documented_section_is_known_wherever_it_stands() {
        assert!(is_bifrosts("", "mcp"));
        assert!(is_bifrosts("governance", "routing_rules"));
        assert!(is_bifrosts("governance.virtual_keys[3]", "mcp_configs"));
        assert!(is_bifrosts("providers.openai", "proxy_config"));
        assert!(is_bifrosts("plugins[1]", "placement"));
        assert!(is_bifrosts("logs_store.config", "host"));
        assert!(is_bifrosts("providers.openai.keys[0]", "use_for_batch_api"));
    }

    #[test]
    fn a_typo_is_not_a_documented_section() {
        assert!(!is_bifrosts("", "governence"));
        assert!(!is_bifrosts("client", "mcp"));
    }
}
