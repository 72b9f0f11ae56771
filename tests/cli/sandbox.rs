//! A folder with a configuration, scenarios and gateways of its own, and the executable run in it.

use std::{
    fs,
    io::Read,
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// Nothing that is waited for here takes longer, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What `sh` does as a gateway to be the reference gateway: `$1` is the data folder, `$2` the executable,
/// `$3` the port.
pub(crate) const REFERENCE: &str =
    r#""$2" serve reference -app-dir "$1" -host 127.0.0.1 -port "$3" --test-clock -log-level warn"#;

/// A scenario of four calls under a cap, and a fifth that is refused.
pub(crate) const CAP: &str = "
policy:
  virtual_keys:
    - name: agent
      budgets: [{ limit: $0.005, reset: 1h }]
steps:
  - call: { as: agent, times: 4 }
    expect: { status: 200 }
  - call: { as: agent }
    expect: { refused: budget_exceeded, status: 402, upstream: { calls: 0 } }
";

/// A scenario that stands still in its third step, with calls that the provider never answers.
pub(crate) const HANG: &str = "
policy:
  virtual_keys: [{ name: agent }]
steps:
  - call: { as: agent }
    expect: { status: 200 }
  - upstream: { providers: { primary: { faults: [{ fault: hang }] } } }
  - burst: { clients: 8, call: { as: agent, deadline: 50s } }
    expect: { answers: { passed: 0 } }
";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder in which `probity` has all that it needs. Its path marks every process that is started in it.
pub(crate) struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    /// With the reference gateway, and one scenario, `budgets/cap`.
    pub(crate) fn new() -> Self {
        let sandbox = Self { folder: tempfile::Builder::new().prefix("probity-cli-").tempdir().unwrap() };
        sandbox.write("runner.yaml", "targets: [reference]\nout: out\njobs: 2\n");
        sandbox.write(
            "scenarios/requirements.yaml",
            "requirements:\n  - id: BUD-1\n    level: must\n    text: A spent budget MUST be refused with 402.\n    \
             source: RFC 9110 §15.5.3\n",
        );
        sandbox.scenario("budgets/cap", CAP);
        fs::create_dir(sandbox.path("gateways")).unwrap();
        // `reference` extends `bifrost`.
        for name in ["reference", "bifrost"] {
            symlink(root().join("gateways").join(name), sandbox.path(&format!("gateways/{name}"))).unwrap();
        }
        sandbox
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A scenario that proves BUD-1.
    pub(crate) fn scenario(&self, id: &str, policy_and_steps: &str) {
        let head = format!("id: {id}\nrequirement: BUD-1\ntitle: A spent budget is refused\n");
        self.write(&format!("scenarios/{id}.yaml"), &(head + policy_and_steps));
    }

    /// A gateway that is this script for `sh`, and gets the reference gateway's configuration.
    pub(crate) fn gateway(&self, name: &str, script: &str) {
        let script = Value::from(script);
        let words = format!(r#"[/bin/sh, -c, {script}, sh, "{{{{ data }}}}", "{{{{ probity }}}}", "{{{{ port }}}}"]"#);
        self.write(
            &format!("gateways/{name}/gateway.yaml"),
            &format!(
                "name: {name}\ntitle: A toy\nversion: \"1\"\nlaunch:\n  process:\n    command: {words}\n\
                 ready: {{ get: /health, within: 10s, stops_within: 20s }}\n\
                 files: {{ config.json: config.json.j2 }}\n\
                 routes: {{ chat: /v1/chat/completions }}\nkeys: {{ via: [bearer], prefix: sk-bf- }}\n\
                 capabilities: [budgets.virtual_key, windows.budgets, restart, keys.literal]\n\
                 promises: {{ shortest_window: 1h, status: {{ budget_exceeded: 402 }} }}\n\
                 dialect:\n  refusals:\n    - {{ reason: budget_exceeded, body: {{ /error/code: \"^budget_exceeded$\" }} }}\n"
            ),
        );
        self.write(&format!("gateways/{name}/config.json.j2"), &template());
    }

    /// Replaces a text that stands in a file.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} holds no {from:?}:\n{text}");
        self.write(name, &text.replace(from, to));
    }

    /// The command, in this folder, without what the surroundings may say; gateways are processes.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_probity"));
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["COLUMNS", "NO_COLOR", "EVAL_MODEL", "EVAL_MODEL_MAX_BUDGET", "RUST_BACKTRACE", "DOCKER_HOST"] {
            command.env_remove(name);
        }
        command.env("PROBITY_RUNTIME", "process");
        command
    }

    /// Runs `probity` with these words to its end.
    pub(crate) fn probity(&self, words: &[&str]) -> Ended {
        Running::spawn(self.command(words)).end()
    }

    /// Starts `probity` with these words.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::spawn(self.command(words))
    }

    /// The processes of gateways that were started here, beside `probity` itself.
    pub(crate) fn gateways(&self) -> Vec<(Pid, String)> {
        let marker = self.path("out").display().to_string();
        let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let words = fs::read(entry.path().join("cmdline")).ok()?;
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            (words.contains(&marker) && words.contains("/gateway-")).then_some((Pid::from_raw(pid), words))
        });
        found.collect()
    }

    /// What a run must have cleaned up: no process of a gateway is left, and no folder of one.
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(self.gateways(), Vec::new(), "a gateway outlived its run");
        let left: Vec<_> = self.files().into_iter().filter(|path| path.contains("gateway-")).collect();
        assert_eq!(left, Vec::<String>::new(), "the folder of a gateway outlived its run");
    }

    /// Every file below the output folder, relative to it.
    pub(crate) fn files(&self) -> Vec<String> {
        let out = self.path("out");
        let mut folders = vec![out.clone()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files.iter().map(|path| path.strip_prefix(&out).unwrap().display().to_string()).collect()
    }

    /// The run log's events so far; a line that is being written is left out.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out/run.ndjson")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until the burst of [`HANG`] is under way: each of its callers has a connection to the gateway.
    pub(crate) fn wait_for_burst(&self) {
        wait_for("the burst", || self.connections() >= 8);
    }

    /// How many connections to gateways that were started here are open.
    fn connections(&self) -> usize {
        let port = |words: &str| words.split_once("-port ")?.1.split(' ').next()?.parse::<u16>().ok();
        let ports: Vec<_> = self.gateways().iter().filter_map(|(_, words)| port(words)).collect();
        // Fields: number, local address as hexadecimal `ip:port`, remote address, state (01: established).
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let open = table.lines().skip(1).filter(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().and_then(|local| u16::from_str_radix(local.split_once(':')?.1, 16).ok());
            local.is_some_and(|port| ports.contains(&port)) && fields.nth(1) == Some("01")
        });
        open.count()
    }

    /// A transcript of the command, as a snapshot with this name.
    pub(crate) fn golden(&self, name: &str, words: &[&str]) -> Ended {
        let ended = self.probity(words);
        self.snapshot(name, words, &ended);
        ended
    }

    /// What a command printed and how it ended, as a snapshot with this name.
    pub(crate) fn snapshot(&self, name: &str, words: &[&str], ended: &Ended) {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let folder = self.folder.path().display().to_string();
        let filters = [
            (folder.as_str(), "[here]"),
            (env!("CARGO_PKG_VERSION"), "[version]"),
            (r"\d+ ms", "[time] ms"),
            (r"\d+\.\d+ s\)", "[time] s)"),
            (r"\d+ MB", "[size] MB"),
            (r"127\.0\.0\.1:\d{4,}", "127.0.0.1:[port]"),
            (r"port \d{4,}", "port [port]"),
        ];
        for (found, shown) in filters {
            settings.add_filter(found, shown);
        }
        let Ended { stdout, stderr, .. } = ended;
        let text = format!("$ probity {}\n{stdout}--- stderr\n{stderr}--- {}\n", words.join(" "), ended.how());
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

/// A gateway that is the reference, and does this instead from its third start on.
pub(crate) fn from_the_third_start(what: &str) -> String {
    let starts = "\"$1/../../starts\"";
    format!("echo >> {starts}; test $(wc -l < {starts}) -gt 2 && {what}; exec {REFERENCE}")
}

/// The reference gateway's own template.
pub(crate) fn template() -> String {
    fs::read_to_string(root().join("gateways/reference/config.json.j2")).unwrap()
}

/// A `probity` that runs; if a test fails before its end it is asked to end.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (child.stdout.take().map(reader), child.stderr.take().map(reader));
        Self { child, stdout, stderr }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let mut status = None;
        wait_for("the end of probity", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let text = |reader: &mut Option<JoinHandle<String>>| reader.take().unwrap().join().unwrap();
        Ended { status: status.unwrap(), stdout: text(&mut self.stdout), stderr: text(&mut self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

fn reader(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}

/// How a `probity` ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => format!("killed by signal {}", signal.unwrap_or_default()),
        }
    }

    /// Asserts the exit code, and shows everything if it is another.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.how(), format!("exit {code}"), "{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Asserts that stderr holds each of these texts.
    #[track_caller]
    pub(crate) fn says(&self, texts: &[&str]) -> &Self {
        for text in texts {
            assert!(self.stderr.contains(text), "no {text:?} in:\n{}", self.stderr);
        }
        self
    }

    /// Stdout as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
