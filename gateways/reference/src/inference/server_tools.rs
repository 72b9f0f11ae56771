//! The tools of a request that its provider uses by itself while it answers: searches, code,
//! pages that it fetches. They can cost beside tokens, and what they find is read by the model.

use axum::http::StatusCode;
use serde_json::Value;

use super::fields::{Fields, field};
use super::route::Route;
use crate::errors::Problem;
use crate::pricing::{Extra, Extras, SearchSize, Tariff};
use crate::routing::Candidate;
use crate::translate::{Form, camel};

/// Tools of OpenAI's APIs that the caller runs.
const OF_OPENAIS_CALLER: [&str; 6] =
    ["function", "custom", "local_shell", "apply_patch", "computer", "computer_use_preview"];
/// How the names of Anthropic's that the caller runs begin.
const OF_ANTHROPICS_CALLER: [&str; 5] = ["custom", "bash_", "text_editor_", "computer_", "memory_"];
/// And Gemini's.
const OF_GEMINIS_CALLER: [&str; 2] = ["functionDeclarations", "computerUse"];
/// What the names of models have that search by themselves, once for an answer.
const SEARCHING: [&str; 4] = ["-search-", "sonar", ":online", COMPOUND];
/// And of those among them that search as often as they like.
const RESEARCHING: [&str; 2] = ["deep-research", COMPOUND];
/// Groq's systems that search and run code.
const COMPOUND: &str = "compound";

/// A tool that the provider uses by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerTool {
    /// As the request names it.
    pub(crate) name: String,
    /// What each use is charged as; `None`: nothing that a price sheet has.
    pub(crate) extra: Option<Extra>,
    /// How often it is used, at most.
    pub(crate) most: Option<u64>,
    /// Whether the model goes on with what the tool found, and reads all before it again.
    pub(crate) goes_on: bool,
}

impl ServerTool {
    /// Refuses one that could be used beyond any budget.
    pub(super) fn may_be_used(&self, tariff: &Tariff, candidate: &Candidate) -> Result<(), Problem> {
        let (model, provider) = (&candidate.model, &candidate.provider.name);
        let (kind, why) = match (self.extra, self.most) {
            (None, _) => ("tool_unpriced", "has no price here".to_owned()),
            (Some(extra), _) if !tariff.has_price_of(extra) => {
                ("tool_unpriced", format!("has no price for model '{model}' of provider '{provider}'"))
            }
            (Some(_), None) => ("tool_unbounded", "has no bound on its uses (`max_uses`, `max_tool_calls`)".to_owned()),
            (Some(_), Some(_)) => return Ok(()),
        };
        let message = format!("The provider's tool '{}' {why}, so it cannot be used under a budget", self.name);
        Err(Problem::new(StatusCode::FORBIDDEN, kind, message))
    }
}

/// Reads the tools of a body.
pub(super) fn read(route: Route, fields: &Fields, answers: u64) -> Result<Vec<ServerTool>, Problem> {
    let tools = || Ok::<Vec<Value>, Problem>(field(fields, "tools")?.unwrap_or_default());
    Ok(match route.form() {
        form if may_search(form) => {
            let most = if form == Form::Responses { bound(field(fields, "max_tool_calls")?) } else { None };
            let mut found: Vec<ServerTool> = tools()?.iter().filter_map(|tool| of_openai(tool, most)).collect();
            found.extend(search_asked_for(fields, answers)?);
            found.extend(others(fields, &["plugins", "preset", "search_parameters", "data_sources"])?);
            if form == Form::Responses {
                found.extend(of_kept_prompt(fields, most)?);
            }
            found
        }
        Form::Messages => {
            let mut found: Vec<ServerTool> = tools()?.iter().filter_map(of_anthropic).collect();
            found.extend(others(fields, &["mcp_servers"])?);
            found
        }
        Form::Content => tools()?.iter().flat_map(of_gemini).collect(),
        _ => Vec::new(),
    })
}

/// A bound on uses; 0 may be none.
fn bound(most: Option<u64>) -> Option<u64> {
    most.filter(|most| *most > 0)
}

fn of_openai(tool: &Value, most: Option<u64>) -> Option<ServerTool> {
    let name = tool.get("type").and_then(Value::as_str).unwrap_or("function");
    if OF_OPENAIS_CALLER.contains(&name) {
        return None;
    }
    let extra = match name {
        search if search.starts_with("web_search") => Some(Extra::Search(size(tool))),
        "code_interpreter" => Some(Extra::CodeSession),
        _ => None,
    };
    Some(ServerTool { name: name.to_owned(), extra, most, goes_on: true })
}

/// Whether it is a form of OpenAI's for text. Servers that are compatible take the same fields in
/// each, and their models search by themselves.
fn may_search(form: Form) -> bool {
    matches!(form, Form::Chat | Form::Responses | Form::Completions)
}

/// The search that is asked for before an answer, once for each.
fn search_asked_for(fields: &Fields, answers: u64) -> Result<Option<ServerTool>, Problem> {
    const NAME: &str = "web_search_options";
    let options: Option<Value> = field(fields, NAME)?;
    Ok(options.map(|options| search_before(NAME, size(&options), Some(answers))))
}

/// A prompt that the provider keeps may have tools of its own, which no body shows.
fn of_kept_prompt(fields: &Fields, most: Option<u64>) -> Result<Option<ServerTool>, Problem> {
    const NAME: &str = "prompt";
    let prompt: Option<Value> = field(fields, NAME)?;
    Ok(prompt.map(|_| ServerTool { name: NAME.to_owned(), extra: Some(Extra::Search(None)), most, goes_on: true }))
}

fn search_before(name: &str, size: Option<SearchSize>, most: Option<u64>) -> ServerTool {
    ServerTool { name: name.to_owned(), extra: Some(Extra::Search(size)), most, goes_on: false }
}

/// All that are used where a provider of this form serves a model, which may search without
/// being asked to. Of its `names` one is the caller's, the others are those that keys have for it.
pub(super) fn with_own<'a>(
    asked: &[ServerTool],
    form: Form,
    names: impl Iterator<Item = &'a str>,
    answers: u64,
) -> Vec<ServerTool> {
    let mut tools = asked.to_vec();
    let has = |name: &str, words: &[&str]| {
        let lower = name.to_ascii_lowercase();
        words.iter().any(|word| lower.contains(word))
    };
    let own: Vec<&str> = names.filter(|name| has(name, &SEARCHING)).collect();
    let research = own.iter().copied().find(|name| has(name, &RESEARCHING));
    let is_asked = tools.iter().any(|tool| !tool.goes_on);
    if let Some(name) = research.or(own.first().copied().filter(|_| !is_asked))
        && may_search(form)
    {
        tools.push(search_before(name, None, Some(answers).filter(|_| research.is_none())));
    }
    tools
}

fn of_anthropic(tool: &Value) -> Option<ServerTool> {
    let name = tool.get("type").and_then(Value::as_str).unwrap_or("custom");
    if OF_ANTHROPICS_CALLER.iter().any(|known| name.starts_with(known)) {
        return None;
    }
    let extra = name.starts_with("web_search_").then_some(Extra::Search(None));
    let most = bound(tool.get("max_uses").and_then(Value::as_u64));
    Some(ServerTool { name: name.to_owned(), extra, most, goes_on: true })
}

fn of_gemini(tool: &Value) -> Vec<ServerTool> {
    let names = tool.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let names = names.map(|(name, _)| camel(name)).filter(|name| !OF_GEMINIS_CALLER.contains(&name.as_str()));
    names
        .map(|name| {
            let extra = name.starts_with("googleSearch").then_some(Extra::Search(None));
            ServerTool { name, extra, most: None, goes_on: true }
        })
        .collect()
}

/// Fields that ask for such tools in ways of their own, where they ask for something.
fn others(fields: &Fields, names: &[&str]) -> Result<Vec<ServerTool>, Problem> {
    let mut found = Vec::new();
    for name in names {
        let asks = field::<Value>(fields, name)?.is_some_and(|value| value != Value::Array(Vec::new()));
        if asks {
            found.push(ServerTool { name: (*name).to_owned(), extra: None, most: None, goes_on: true });
        }
    }
    Ok(found)
}

fn size(options: &Value) -> Option<SearchSize> {
    match options.get("search_context_size")?.as_str()? {
        "low" => Some(SearchSize::Low),
        "medium" => Some(SearchSize::Medium),
        "high" => Some(SearchSize::High),
        _ => None,
    }
}

/// What they can cost beside tokens.
pub(super) fn extras(tools: &[ServerTool]) -> Extras {
    let sure = tools.iter().filter(|tool| !tool.goes_on).filter_map(|tool| tool.most);
    Extras {
        most: tools.iter().filter_map(|tool| Some((tool.extra?, tool.most.unwrap_or(0)))).collect(),
        sure_searches: sure.fold(0, u64::saturating_add),
    }
}

/// How often the model reads its input again, with what the tools found.
pub(super) fn rounds(tools: &[ServerTool]) -> u64 {
    let uses = tools.iter().filter(|tool| tool.goes_on).filter_map(|tool| tool.most);
    uses.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use serde_json::json;

    fn of(route: Route, body: &Value) -> Vec<ServerTool> {
        read(route, &serde_json::from_str(&body.to_string()).unwrap(), 1).unwrap()
    }

    #[test]
    fn what_the_caller_runs_is_none() {
        for (route, tools) in [
            (Route::ChatCompletions, json!([{"type": "function", "function": {"name": "web_search"}}])),
            (Route::Responses, json!([{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}])),
            (Route::Messages, json!([{"name": "f"}, {"type": "custom", "name": "g"}, {"type": "bash_20250124"}])),
            (Route::GenerateContent, json!([{"functionDeclarations": []}, {"function_declarations": []}])),
            (Route::Messages, Value::Null),
        ] {
            assert_eq!(of(route, &json!({ "tools": tools })), [], "{tools}");
        }
        assert_eq!(of(Route::ChatCompletions, &json!({"plugins": [], "search_parameters": null})), []);
    }

    #[test]
    fn what_the_provider_runs_is_told_with_its_bound() {
        let told = |route, body: Value| {
            let tools = of(route, &body);
            tools.into_iter().map(|tool| (tool.name, tool.extra, tool.most)).collect::<Vec<_>>()
        };
        let name = str::to_owned;
        let responses = json!({"tools": [{"type": "web_search_preview", "search_context_size": "low"},
            {"type": "code_interpreter"}, {"type": "mcp"}], "max_tool_calls": 3});
        assert_eq!(
            told(Route::Responses, responses),
            [
                (name("web_search_preview"), Some(Extra::Search(Some(SearchSize::Low))), Some(3)),
                (name("code_interpreter"), Some(Extra::CodeSession), Some(3)),
                (name("mcp"), None, Some(3)),
            ]
        );
        let messages = json!({"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
            {"type": "web_fetch_20250910"}], "mcp_servers": [{"url": "https://example.com"}]});
        assert_eq!(
            told(Route::Messages, messages),
            [
                (name("web_search_20250305"), Some(Extra::Search(None)), Some(2)),
                (name("web_fetch_20250910"), None, None),
                (name("mcp_servers"), None, None),
            ]
        );
        let kept = |most: Value| json!({"prompt": {"id": "pmpt_1"}, "max_tool_calls": most});
        for (body, most) in [(kept(json!(3)), Some(3)), (kept(json!(0)), None), (kept(Value::Null), None)] {
            assert_eq!(told(Route::Responses, body), [(name("prompt"), Some(Extra::Search(None)), most)]);
        }
        let never = json!({"tools": [{"type": "web_search_20250305", "max_uses": 0}]});
        assert_eq!(told(Route::Messages, never), [(name("web_search_20250305"), Some(Extra::Search(None)), None)]);
        assert_eq!(
            told(Route::GenerateContent, json!({"tools": [{"google_search": {}}, {"urlContext": {}}]})),
            [(name("googleSearch"), Some(Extra::Search(None)), None), (name("urlContext"), None, None)]
        );
        for route in [Route::ChatCompletions, Route::Responses, Route::Completions] {
            let body = json!({"web_search_options": {"search_context_size": "high"}, "plugins": [{"id": "web"}],
                "preset": "pro-search", "search_parameters": {"mode": "on"}, "data_sources": [{"type": "azure_search"}]});
            assert_eq!(
                told(route, body),
                [
                    (name("web_search_options"), Some(Extra::Search(Some(SearchSize::High))), Some(1)),
                    (name("plugins"), None, None),
                    (name("preset"), None, None),
                    (name("search_parameters"), None, None),
                    (name("data_sources"), None, None),
                ],
                "{route:?}"
            );
        }
    }

    #[test]
    fn a_model_that_searches_by_itself_is_not_asked_to() {
        let own = |asked: &[ServerTool], form, names: &[&str]| with_own(asked, form, names.iter().copied(), 2);
        let most = |asked: &[ServerTool], model| {
            let tools = own(asked, Form::Chat, &[model]);
            tools.iter().map(|tool| tool.most).collect::<Vec<_>>()
        };
        assert_eq!(most(&[], "gpt-4o-search-preview"), [Some(2)]);
        assert_eq!(most(&[], "any/model:online"), [Some(2)]);
        assert_eq!(most(&[], "sonar-deep-research"), [None]);
        assert_eq!(most(&[], "compound-mini"), [None]);
        assert_eq!(most(&[], "groq/compound"), [None]);
        assert_eq!(most(&[], "gpt-4o"), []);
        let asked = of(Route::ChatCompletions, &json!({"web_search_options": {}}));
        assert_eq!(most(&asked, "gpt-4o-search-preview"), [Some(1)]);
        assert_eq!(most(&asked, "sonar-deep-research"), [Some(1), None]);
        for form in [Form::Chat, Form::Responses, Form::Completions] {
            let tools = own(&[], form, &["cheap", "Sonar"]);
            assert_eq!(tools, [search_before("Sonar", None, Some(2))], "{form:?}: a key's name for it counts too");
            assert_eq!(own(&[], form, &["sonar", "sonar-deep-research"])[0].most, None, "{form:?}");
        }
        for form in [Form::Messages, Form::Content, Form::Embeddings, Form::Media] {
            assert_eq!(own(&[], form, &["sonar"]), [], "{form:?}");
        }
    }
}
