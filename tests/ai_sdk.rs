//! The Vercel AI SDK in front of the reference gateway: what its users' programs get, and what is
//! tried again behind their backs. `ai_sdk/program.mjs` is the program; what it must see is said here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::{path::Path, process::ExitCode, time::Duration};

use libtest_mimic::{Arguments, Trial};
use mock_upstream::Script;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Bench, node, root, served::Served, wait};

/// What the mock answers; its characters have one to four bytes.
const REPLY: &str = "A café in 東京 serves 🍵 for 3 €.";

/// A program may take so long, Node's own start on a busy machine among it.
const PROGRAM_ENDS_WITHIN: Duration = Duration::from_secs(60);

#[expect(clippy::print_stdout, reason = "a test binary's first line says what it runs in")]
fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if !arguments.list {
        println!("\n{}", Bench::get().why);
    }
    libtest_mimic::run(&arguments, trials()).exit_code()
}

fn trials() -> Vec<Trial> {
    let of_each: [(&str, Test); 1] = [("a call is served, with text, finish reason and usage", call)];
    let mut trials = Vec::new();
    for api in [Api::Chat, Api::Responses] {
        trials.extend(of_each.map(|(sentence, test)| trial(&format!("{}: {sentence}", api.name()), api, test)));
    }
    trials
}

fn trial(sentence: &str, api: Api, test: Test) -> Trial {
    node::trial(sentence, "tests/ai_sdk/package-lock.json", move |folder| {
        test(&Program { api, folder });
        Ok(())
    })
}

type Test = fn(&Program);

/// By which of OpenAI's APIs the SDK calls the gateway.
#[derive(Clone, Copy)]
enum Api {
    Chat,
    Responses,
}

impl Api {
    fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
        }
    }
}

/// The program, and where the SDK is installed.
struct Program<'a> {
    api: Api,
    folder: &'a Path,
}

/// What came of one call of the program.
#[derive(Debug, Deserialize)]
struct Seen {
    returned: Option<Value>,
    thrown: Option<Thrown>,
    /// What went over the wire.
    requests: Vec<Request>,
    /// The milliseconds that the SDK chose to wait before each further try.
    waits: Vec<u64>,
    /// The text of the answer, as far as it came.
    text: String,
    /// What the SDK takes for the model's reasoning.
    reasoning: String,
}

#[derive(Debug, Deserialize)]
struct Request {
    path: String,
    body: Value,
    status: u16,
}

/// The last error, where the SDK tried several times.
#[derive(Debug, Deserialize)]
struct Thrown {
    kind: String,
    message: String,
    status: Option<u16>,
    retryable: Option<bool>,
    body: Option<Value>,
    tries: usize,
}

impl Program<'_> {
    /// Runs a case of the program with a key's value; `clock` are the credentials by which its waits
    /// move the gateway's clock.
    fn run(&self, served: &Served, key: Option<&str>, clock: Option<String>, case: &str, options: Value) -> Vec<Seen> {
        let mut options = options;
        options["api"] = json!(self.api.name());
        let mut node = tokio::process::Command::new("node");
        // Without this machine's variables: keys and addresses of real providers may be among them.
        node.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        node.env("GATEWAY", served.world().instance.base_url()).current_dir(self.folder);
        node.envs(key.map(|key| ("KEY", key))).envs(clock.map(|clock| ("CLOCK", clock)));
        node.arg(root().join("tests/ai_sdk/program.mjs")).arg(case).arg(options.to_string());
        let output = wait(async { tokio::time::timeout(PROGRAM_ENDS_WITHIN, node.kill_on_drop(true).output()).await });
        let output = output.expect("the program must end").unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{case}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// The same as the virtual key `agent`, with a clock that stands.
    fn run_as_agent(&self, served: &Served, case: &str, options: Value) -> Vec<Seen> {
        self.run(served, Some(&served.world().keys["agent"]), None, case, options)
    }

    /// A gateway with a virtual key `agent` on which this is enforced. A call costs $0.00125.
    fn gateway(&self, name: &str, enforced: Value) -> Served {
        self.gateway_with(name, enforced, &Script::usual())
    }

    fn gateway_with(&self, name: &str, mut enforced: Value, script: &Script) -> Served {
        enforced["name"] = json!("agent");
        let policy = serde_json::from_value(json!({ "virtual_keys": [enforced] })).unwrap();
        Bench::get().serve(&format!("ai-sdk-{}-{name}", self.api.name()), &policy, script)
    }
}

impl Seen {
    /// What was returned by one request to this path.
    #[track_caller]
    fn served(&self, api: Api) -> &Value {
        let requests: Vec<_> = self.requests.iter().map(|request| (request.path.as_str(), request.status)).collect();
        assert_eq!(requests, [(api.path(), 200)], "{self:?}");
        self.returned.as_ref().unwrap_or_else(|| panic!("nothing was returned: {self:?}"))
    }
}

/// Input, output and all tokens, as the SDK gives them.
fn tokens(answer: &Value) -> [&Value; 3] {
    ["inputTokens", "outputTokens", "totalTokens"].map(|name| &answer["usage"][name])
}

fn call(program: &Program) {
    let served = program.gateway("call", json!({}));
    let seen = program.run_as_agent(&served, "generate", json!({}));
    let answer = seen[0].served(program.api);
    assert_eq!((seen[0].text.as_str(), &answer["finish"]), (REPLY, &json!("stop")), "{seen:?}");
    assert_eq!(tokens(answer), [100, 100, 200], "{answer}");
    assert_eq!(served.calls(), 1);
}
