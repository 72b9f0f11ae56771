//! The description of the gateway's API (OpenAPI 3.1), made from the table of its routes.

use schemars::SchemaGenerator;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::errors::Wording;
use crate::routes::{Answer, Method, Served, content, json_content};

/// What the routes below a path are about, and who may call them; the longest path counts.
const ABOUT: [(&str, &str, Caller); 18] = [
    ("/api/config", "Client settings and the administrator", Caller::Administrator),
    ("/api/governance", "Budgets, limits and who has them", Caller::Administrator),
    ("/api/governance/pricing-overrides", "Prices of the administrator's own", Caller::Administrator),
    ("/api/governance/virtual-keys", "Virtual keys", Caller::Administrator),
    ("/api/governance/virtual-keys/quota", "What a virtual key has left", Caller::VirtualKey(Wording::Native)),
    ("/api/keys", "Keys of all providers", Caller::Administrator),
    ("/api/logs", "The log of requests", Caller::Administrator),
    ("/api/openapi.json", "This description", Caller::Anyone),
    ("/api/pricing", "The price sheet", Caller::Administrator),
    ("/api/providers", "Providers and their keys", Caller::Administrator),
    ("/api/session", "Sessions of the administrator", Caller::Anyone),
    ("/api/test", "Time for tests", Caller::Administrator),
    ("/api/version", "The gateway's version", Caller::Anyone),
    ("/health", "Whether the gateway can work", Caller::Anyone),
    ("/metrics", "Metrics for Prometheus", Caller::Administrator),
    ("/anthropic", "Inference in Anthropic's protocol", Caller::VirtualKey(Wording::Anthropic)),
    ("/genai", "Inference in Gemini's protocol", Caller::VirtualKey(Wording::Gemini)),
    ("/", "Inference in OpenAI's protocol", Caller::VirtualKey(Wording::Native)),
];

/// The headers whose value is a virtual key, by the names of their schemes.
const KEY_HEADERS: [(&str, &str); 4] = [
    ("virtualKey", "x-bf-vk"),
    ("anthropicKey", "x-api-key"),
    ("geminiKey", "x-goog-api-key"),
    ("azureKey", "api-key"),
];

#[derive(Clone, Copy)]
enum Caller {
    Anyone,
    Administrator,
    /// Who is told of errors in the words of the protocol.
    VirtualKey(Wording),
}

impl Caller {
    fn security(self) -> Value {
        match self {
            Caller::Anyone => json!([]),
            Caller::Administrator => json!([{ "basic": [] }, { "bearer": [] }, { "session": [] }]),
            Caller::VirtualKey(_) => {
                let headers = KEY_HEADERS.iter().map(|(scheme, _)| json!({ (*scheme): [] }));
                headers.chain([json!({ "bearer": [] }), json!({})]).collect()
            }
        }
    }

    /// The component that describes its errors.
    fn error(self) -> &'static str {
        match self {
            Caller::Anyone | Caller::Administrator | Caller::VirtualKey(Wording::Native) => "Error",
            Caller::VirtualKey(Wording::Anthropic) => "AnthropicError",
            Caller::VirtualKey(Wording::Gemini) => "GeminiError",
        }
    }
}

/// The description of what is served.
pub(crate) fn document(table: &[Served]) -> Value {
    let mut generator = generator();
    let mut paths = Map::new();
    for served in table {
        // A parameter that takes the rest of the path is one like any other here.
        let path = paths.entry(served.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[served.method.name] = operation(served, &mut generator);
    }
    paths.sort_keys();
    let errors = [("Error", error()), ("AnthropicError", anthropic_error()), ("GeminiError", gemini_error())];
    let responses: Map<String, Value> = errors.iter().map(|(name, _)| ((*name).to_owned(), failure(name))).collect();
    let mut schemas = generator.take_definitions(true);
    schemas.extend(errors.map(|(name, schema)| (name.to_owned(), schema)));
    schemas.sort_keys();
    let mut schemes = json!({
        "basic": { "type": "http", "scheme": "basic" },
        "bearer": { "type": "http", "scheme": "bearer" },
        "session": { "type": "apiKey", "in": "cookie", "name": "token" },
    });
    for (scheme, header) in KEY_HEADERS {
        schemes[scheme] = json!({ "type": "apiKey", "in": "header", "name": header });
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": "The reference gateway", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "securitySchemes": schemes, "responses": responses, "schemas": schemas },
    })
}

/// Describes what is answered, each type once.
fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.contract = Contract::Serialize;
        settings.definitions_path = "/components/schemas".into();
    });
    settings.into_generator()
}

fn operation(served: &Served, generator: &mut SchemaGenerator) -> Value {
    let Served { path, method: Method { name, query, body, answer } } = served;
    let (about, caller) = about(path);
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.split('}').next());
    let in_path = names.map(|name| {
        let name = name.trim_start_matches('*');
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let parameters: Vec<Value> = in_path.chain(query.map(|schema| in_query(schema())).unwrap_or_default()).collect();
    let mut operation = json!({
        "operationId": format!("{name} {path}"),
        "summary": about,
        "security": caller.security(),
        "parameters": parameters,
        "responses": responses(*answer, caller, generator),
    });
    if let Some(schema) = body {
        operation["requestBody"] = json!({ "required": true, "content": json_content(schema()) });
    } else if *name == "post" && matches!(caller, Caller::VirtualKey(_)) {
        // As its provider's own API has it.
        let is_form = path.ends_with("/audio/transcriptions");
        let content_type = if is_form { "multipart/form-data" } else { "application/json" };
        let content = content(content_type, json!({ "type": "object" }));
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn responses(answer: Answer, caller: Caller, generator: &mut SchemaGenerator) -> Value {
    let content = (answer.content)(generator);
    let known = answer.statuses.iter().map(|status| {
        let description = status.canonical_reason().unwrap_or_default();
        (status.as_str().to_owned(), json!({ "description": description, "content": content }))
    });
    let failed = json!({ "$ref": format!("#/components/responses/{}", caller.error()) });
    let failures = ["4XX", "5XX"].map(|statuses| (statuses.to_owned(), failed.clone()));
    Value::Object(known.chain(failures).collect())
}

/// The fields of a query, each of which may be left out.
fn in_query(mut schema: Value) -> Vec<Value> {
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut).map(std::mem::take);
    let parameter = |(name, mut schema): (String, Value)| {
        // There is no null in a query.
        if let Some(Value::Array(kinds)) = schema.get("type")
            && let Some(kind) = kinds.iter().find(|kind| **kind != "null").cloned()
        {
            schema["type"] = kind;
        }
        json!({ "name": name, "in": "query", "schema": schema })
    };
    fields.unwrap_or_default().into_iter().map(parameter).collect()
}

fn about(path: &str) -> (&'static str, Caller) {
    let prefixes = ["/litellm", "/langchain"];
    let path = prefixes.iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
    let known = ABOUT.iter().filter(|(prefix, ..)| path.starts_with(prefix));
    let longest = known.max_by_key(|(prefix, ..)| prefix.len());
    longest.map_or(("", Caller::VirtualKey(Wording::Native)), |(_, about, caller)| (*about, *caller))
}

/// The answer whose body has this schema.
fn failure(schema: &str) -> Value {
    let content = json_content(json!({ "$ref": format!("#/components/schemas/{schema}") }));
    json!({ "description": "What went wrong", "content": content })
}

/// The body of every error in Anthropic's words; `code` is the gateway's own.
fn anthropic_error() -> Value {
    json!({
        "type": "object",
        "required": ["type", "error"],
        "properties": {
            "type": { "const": "error" },
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {
                    "type": { "type": "string" },
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                },
            },
        },
    })
}

/// The body of every error in Gemini's words; the gateway's own reason stands in `details`.
fn gemini_error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message", "status"],
                "properties": {
                    "code": { "type": "integer" },
                    "message": { "type": "string" },
                    "status": { "type": "string" },
                    "details": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "@type": { "type": "string" },
                                "reason": { "type": "string" },
                                "domain": { "type": "string" },
                                "metadata": { "type": "object", "additionalProperties": { "type": "string" } },
                            },
                        },
                    },
                },
            },
        },
    })
}

/// The body of every error in the gateway's own wording.
fn error() -> Value {
    json!({
        "type": "object",
        "required": ["type", "is_bifrost_error", "status_code", "error", "extra_fields"],
        "properties": {
            "type": { "type": "string" },
            "is_bifrost_error": { "type": "boolean" },
            "status_code": { "type": "integer" },
            "error": {
                "type": "object",
                "required": ["type", "code", "message"],
                "properties": {
                    "type": { "type": "string" },
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                },
            },
            "extra_fields": { "type": "object" },
        },
    })
}
