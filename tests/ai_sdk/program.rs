//! The program, and what it tells of each call.

use std::path::Path;

use mock_upstream::Script;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Bench, program::Caller, readme, root, served::Served};

/// By which of OpenAI's APIs the SDK calls the gateway.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Chat,
    Responses,
}

impl Api {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
        }
    }
}

/// The program, and where the SDK is installed.
pub(crate) struct Program<'a> {
    pub(crate) api: Api,
    pub(crate) folder: &'a Path,
}

/// What came of one call of the program.
#[derive(Debug, Deserialize)]
pub(crate) struct Seen {
    pub(crate) returned: Option<Value>,
    pub(crate) thrown: Option<Thrown>,
    /// What went over the wire.
    pub(crate) requests: Vec<Request>,
    /// The milliseconds that the SDK chose to wait before each further try.
    pub(crate) waits: Vec<u64>,
    /// The text of the answer, as far as it came.
    pub(crate) text: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) status: u16,
}

/// The last error, where the SDK tried several times.
#[derive(Debug, Deserialize)]
pub(crate) struct Thrown {
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) status: Option<u16>,
    pub(crate) retryable: Option<bool>,
    pub(crate) body: Option<Value>,
    pub(crate) tries: usize,
}

impl Program<'_> {
    pub(crate) fn run(&self, caller: &Caller<'_>, case: &str, mut options: Value) -> Vec<Seen> {
        options["api"] = json!(self.api.name());
        let mut node = tokio::process::Command::new("node");
        node.current_dir(self.folder).arg(root().join("tests/ai_sdk/program.mjs"));
        caller.run(node, case, &options)
    }

    pub(crate) fn run_as_agent(&self, served: &Served, case: &str, options: Value) -> Vec<Seen> {
        self.run(&Caller::agent(served), case, options)
    }

    /// A gateway with a virtual key `agent` on which this is enforced. A call costs $0.00125.
    pub(crate) fn gateway(&self, name: &str, enforced: Value) -> Served {
        self.gateway_with(name, enforced, &Script::usual())
    }

    pub(crate) fn gateway_with(&self, name: &str, enforced: Value, script: &Script) -> Served {
        Bench::get().serve_agent(&self.called(name), enforced, script)
    }

    /// The gateway of the README, in front of its models as they are changed here.
    pub(crate) fn readme(&self, name: &str, models: &Value) -> Served {
        readme::serve(&self.called(name), models)
    }

    pub(crate) fn called(&self, name: &str) -> String {
        format!("ai-sdk-{}-{name}", self.api.name())
    }
}

impl Seen {
    /// What was returned by one request to this path.
    #[track_caller]
    pub(crate) fn served(&self, path: &str) -> &Value {
        let requests: Vec<_> = self.requests.iter().map(|request| (request.path.as_str(), request.status)).collect();
        assert_eq!(requests, [(path, 200)], "{self:?}");
        self.returned()
    }

    #[track_caller]
    pub(crate) fn returned(&self) -> &Value {
        self.returned.as_ref().unwrap_or_else(|| panic!("nothing was returned: {self:?}"))
    }

    /// The one kind of error that the SDK has for a refusal, with this status.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> &Thrown {
        let thrown = self.thrown.as_ref().unwrap_or_else(|| panic!("nothing was thrown: {self:?}"));
        assert_eq!((thrown.kind.as_str(), thrown.status), ("APICallError", Some(status)), "{self:?}");
        thrown
    }

    /// One request was sent, and nothing invites the SDK or its user to another.
    #[track_caller]
    pub(crate) fn not_tried_again(&self) {
        let retryable = self.thrown.as_ref().and_then(|thrown| thrown.retryable);
        assert_eq!((self.requests.len(), self.waits.len(), retryable), (1, 0, Some(false)), "{self:?}");
    }
}

impl Thrown {
    /// A field of the refusal's body.
    pub(crate) fn field(&self, name: &str) -> &Value {
        self.body.as_ref().map_or(&Value::Null, |body| &body["error"][name])
    }
}
