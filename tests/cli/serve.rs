//! `probity serve reference`: the gateway's own options, its log and its healthcheck.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::sandbox::Sandbox;

/// A gateway without providers that runs; if a test fails before its end it is killed.
struct Gateway(Child);

impl Gateway {
    fn start(sandbox: &Sandbox, options: &[&str]) -> (Self, String) {
        sandbox.write("gateway/config.json", "{}");
        let mut command = command(sandbox, &["-app-dir", "gateway", "-port", "0"]);
        command.args(options).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut gateway = Self(command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(gateway.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().to_owned();
        assert!(line.starts_with("listening on http://127.0.0.1:"), "{line}");
        (gateway, port)
    }

    /// Ends it as Ctrl-C does; its exit code, and what it logged.
    fn interrupt(mut self) -> (Option<i32>, String) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGINT).unwrap();
        let mut log = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.0.wait().unwrap().code(), log)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // One that has ended needs nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(sandbox: &Sandbox, options: &[&str]) -> Command {
    let words: Vec<&str> = ["serve", "reference"].into_iter().chain(options.iter().copied()).collect();
    let mut command = sandbox.command(&words);
    for name in ["APP_DIR", "APP_HOST", "APP_PORT", "BIFROST_HOST", "LOG_LEVEL", "LOG_STYLE"] {
        command.env_remove(name);
    }
    command
}

fn healthcheck(sandbox: &Sandbox, options: &[&str]) -> (Option<i32>, String) {
    let output = command(sandbox, options).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_container_without_a_shell_can_ask_whether_the_gateway_is_well() {
    let sandbox = Sandbox::new();
    let (gateway, port) = Gateway::start(&sandbox, &[]);
    for words in [["-port", &port, "healthcheck"], ["healthcheck", "-port", &port]] {
        assert_eq!(healthcheck(&sandbox, &words), (Some(0), String::new()), "{words:?}");
    }
    assert_eq!(gateway.interrupt().0, Some(0));
    let (code, problem) = healthcheck(&sandbox, &["-port", &port, "healthcheck"]);
    assert_eq!(code, Some(1));
    assert!(problem.contains(&format!("the gateway at 127.0.0.1:{port} does not answer")), "{problem}");
}

#[test]
fn the_gateways_log_is_as_its_own_options_have_it() {
    let sandbox = Sandbox::new();
    let lines = |options: &[&str]| {
        let (gateway, port) = Gateway::start(&sandbox, options);
        let body = r#"{"model":"none","messages":[]}"#;
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n", body.len());
        let mut call = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        write!(call, "{head}connection: close\r\n\r\n{body}").unwrap();
        // Whatever the answer is: it is the line in the log that counts.
        call.read_to_end(&mut Vec::new()).unwrap();
        gateway.interrupt().1
    };
    let log = lines(&[]);
    let first: Value = serde_json::from_str(log.lines().next().unwrap_or_default()).unwrap_or_else(|_| panic!("{log}"));
    assert_eq!(first["level"], "INFO", "{log}");
    let pretty = lines(&["-log-style", "pretty"]);
    assert!(pretty.contains(" INFO ") && !pretty.contains('\u{1b}'), "colours are for terminals: {pretty}");
    assert_eq!(lines(&["-log-level", "error"]), "");
}
