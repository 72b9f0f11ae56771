//! The shape of `config.json`. Every unknown field is an error.

use std::num::NonZeroU32;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::governance_file::GovernanceFile;
use super::overrides::PatchText;
use super::types::{AllowList, ConfigId, Only, Weight, distinct, distinct_if_any};
use crate::objects::{read_from_objects, written_as_objects};
use crate::window::ResetDuration;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct ConfigFile<'a> {
    // For editors; says nothing to the gateway.
    #[serde(rename = "$schema")]
    pub(super) schema: Option<String>,
    pub(super) version: Option<u64>,
    pub(super) encryption_key: Option<String>,
    #[serde(default)]
    pub(super) server: ServerFile,
    #[serde(default)]
    pub(super) client: ClientFile,
    #[serde(default)]
    pub(super) plugins: Vec<PluginFile>,
    #[serde(default)]
    pub(super) framework: FrameworkFile,
    pub(super) config_store: Option<StoreFile>,
    pub(super) logs_store: Option<StoreFile>,
    #[serde(default, deserialize_with = "distinct")]
    pub(super) providers: IndexMap<String, ProviderFile>,
    pub(super) auth_config: Option<AuthFile>,
    #[serde(borrow, default)]
    pub(super) governance: GovernanceFile<'a>,
}

/// The client settings: of the file, and `client_config` in the management API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schemars(rename = "ClientConfig")]
pub(crate) struct ClientFile {
    /// The headers without which no request of inference is looked at.
    pub(super) required_headers: Option<Vec<String>>,
    pub(super) enforce_auth_on_inference: Option<bool>,
    pub(super) enforce_governance_header: Option<bool>,
    pub(super) enforce_scim_auth: Option<bool>,
    pub(super) allow_direct_keys: Option<Only<false>>,
    pub(super) drop_excess_requests: Option<Only<false>>,
    pub(super) enable_governance: Option<Only<true>>,
    pub(super) max_request_body_size_mb: Option<usize>,
    /// Of a provider's plain answer.
    pub(super) max_response_body_size_mb: Option<usize>,
    pub(super) enable_logging: Option<bool>,
    pub(super) disable_content_logging: Option<bool>,
    pub(super) log_retention_days: Option<NonZeroU32>,
    pub(super) whitelisted_routes: Option<Vec<String>>,
    pub(super) budget_admission: Option<AdmissionFile>,
    pub(super) unpriced_models: Option<UnpricedFile>,
    pub(super) durability: Option<DurabilityFile>,
    pub(super) disable_db_pings_in_health: Option<bool>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct ServerFile {
    /// The most bytes of a request's head.
    pub(super) read_buffer_size: Option<usize>,
    pub(super) head_timeout_in_seconds: Option<u64>,
    pub(super) body_timeout_in_seconds: Option<u64>,
    pub(super) write_timeout_in_seconds: Option<u64>,
    pub(super) drain_timeout_in_seconds: Option<u64>,
    pub(super) max_connections: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BudgetAdmission")]
pub(crate) enum AdmissionFile {
    Reserved,
    PostPaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "UnpricedModels")]
pub(crate) enum UnpricedFile {
    Deny,
    Allow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Durability")]
pub(crate) enum DurabilityFile {
    Process,
    PowerLoss,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct PluginFile {
    pub(super) name: String,
    pub(super) enabled: bool,
    pub(super) config: Option<GovernancePluginFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct GovernancePluginFile {
    pub(super) is_vk_mandatory: Option<bool>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct FrameworkFile {
    #[serde(default)]
    pub(super) pricing: PricingFile,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct PricingFile {
    pub(super) pricing_url: Option<String>,
    pub(super) model_parameters_url: Option<String>,
    pub(super) pricing_sync_interval: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct StoreFile {
    pub(super) enabled: bool,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) config: Option<SqliteFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct SqliteFile {
    pub(super) path: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct AuthFile {
    pub(super) is_enabled: bool,
    pub(super) admin_username: Option<String>,
    pub(super) admin_password: Option<String>,
    pub(super) disable_auth_on_inference: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct ProviderFile {
    #[serde(default)]
    pub(super) keys: Vec<ProviderKeyFile>,
    #[serde(default)]
    pub(super) network_config: NetworkFile,
    pub(super) custom_provider_config: Option<CustomFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct ProviderKeyFile {
    pub(super) id: Option<ConfigId>,
    pub(super) name: String,
    /// Empty where a server of one's own asks for none.
    #[serde(default)]
    pub(super) value: String,
    pub(super) weight: Option<Weight>,
    pub(super) models: Option<AllowList>,
    #[serde(default)]
    pub(super) blacklisted_models: Vec<String>,
    pub(super) enabled: Option<bool>,
    /// The provider's names for models.
    #[serde(default, deserialize_with = "distinct")]
    pub(super) aliases: IndexMap<String, String>,
    pub(super) azure_key_config: Option<AzureKeyFile>,
    pub(super) vllm_key_config: Option<ServerKeyFile>,
    pub(super) ollama_key_config: Option<ServerKeyFile>,
    pub(super) sgl_key_config: Option<ServerKeyFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct AzureKeyFile {
    pub(super) endpoint: String,
    pub(super) api_version: Option<String>,
    /// The aliases of 1.4.
    #[serde(default, deserialize_with = "distinct")]
    pub(super) deployments: IndexMap<String, String>,
}

/// A server of one's own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct ServerKeyFile {
    pub(super) url: String,
    /// The one model that a vLLM server has.
    pub(super) model_name: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct NetworkFile {
    pub(super) base_url: Option<String>,
    pub(super) default_request_timeout_in_seconds: Option<u64>,
    pub(super) stream_idle_timeout_in_seconds: Option<u64>,
    pub(super) max_retries: Option<u32>,
    pub(super) retry_backoff_initial: Option<BackoffFile>,
    pub(super) retry_backoff_max: Option<BackoffFile>,
    #[serde(default)]
    pub(super) allow_private_network: bool,
    #[serde(default, deserialize_with = "distinct")]
    pub(super) extra_headers: IndexMap<String, String>,
}

/// Milliseconds as a number, or a duration as a text.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected milliseconds as a number, or a duration as a text")]
pub(super) enum BackoffFile {
    Millis(u64),
    Text(ResetDuration),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct CustomFile {
    pub(super) base_provider_type: String,
    #[serde(default)]
    pub(super) is_key_less: bool,
    /// What it may be asked for; what is not there may not.
    #[serde(default, deserialize_with = "distinct_if_any")]
    pub(super) allowed_requests: Option<IndexMap<String, bool>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(super) struct OverrideFile {
    pub(super) id: Option<ConfigId>,
    pub(super) name: Option<String>,
    pub(super) scope_kind: String,
    pub(super) virtual_key_id: Option<ConfigId>,
    pub(super) provider_id: Option<ConfigId>,
    pub(super) provider_key_id: Option<ConfigId>,
    pub(super) provider_key_name: Option<ConfigId>,
    pub(super) match_type: String,
    pub(super) pattern: String,
    pub(super) request_types: Vec<String>,
    pub(super) pricing_patch: Option<PatchText>,
    pub(super) patch: Option<PatchText>,
}

read_from_objects!(
    ConfigFile<'a>,
    ClientFile,
    ServerFile,
    PluginFile,
    GovernancePluginFile,
    FrameworkFile,
    PricingFile
);
read_from_objects!(StoreFile, SqliteFile, AuthFile, OverrideFile);
read_from_objects!(ProviderFile, ProviderKeyFile, AzureKeyFile, ServerKeyFile, NetworkFile, CustomFile);
written_as_objects!(ClientFile);
