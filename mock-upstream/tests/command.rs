//! The executable: its one line, its errors, its end.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mock-upstream"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn failed(args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command(args).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stdout), "");
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// The process and the line it printed when it was ready.
struct Served {
    child: Child,
    line: String,
}

impl Served {
    fn start(args: &[&str]) -> Served {
        let mut child = command(args).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Served { child, line }
    }

    fn addr(&self) -> &str {
        let (_, rest) = self.line.split_once("http://").unwrap();
        rest.split_once(' ').unwrap().0
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends a signal and says how the process ended and how long that took.
    fn signalled(&mut self, signal: &str) -> (Option<i32>, Duration) {
        let started = Instant::now();
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        (self.child.wait().unwrap().code(), started.elapsed())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_where_it_listens_and_ends_at_once_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut served = Served::start(&[]);
        assert_eq!(
            served.line.replace(served.addr(), "ADDR"),
            "mock-upstream listens on http://ADDR providers /primary/v1 ledger /_mock/ledger \
             script /_mock/script sheets /_mock/prices/bifrost.json /_mock/prices/litellm.json \
             /_mock/model-parameters.json\n"
        );
        assert!(served.addr().starts_with("127.0.0.1:"));
        // A client that stays does not hold it up.
        let _stays = TcpStream::connect(served.addr()).unwrap();
        assert!(served.get("/_mock/script").starts_with("HTTP/1.1 200 "));
        let (code, took) = served.signalled(signal);
        assert_eq!(code, Some(0), "{signal}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn it_plays_the_script_of_its_file() {
    let file = std::env::temp_dir().join(format!("mock-upstream-{}.json", std::process::id()));
    std::fs::write(&file, r#"{"providers": {"second": {}}}"#).unwrap();
    let served = Served::start(&["--config", file.to_str().unwrap()]);
    assert!(served.line.contains(" providers /second/v1 "), "{}", served.line);

    for (script, says) in [
        ("{", "EOF while parsing an object at line 1 column 1"),
        (r#"{"provider": {}}"#, "unknown field `provider`, expected `providers` or `models` at line 1 column 11"),
    ] {
        std::fs::write(&file, script).unwrap();
        let (code, message) = failed(&["--config", file.to_str().unwrap()]);
        assert_eq!(code, Some(2));
        assert_eq!(message, format!("mock-upstream: {}: {says}\n", file.display()));
    }
    std::fs::write(&file, r#"{"providers": {"a": {"models": ["m"]}}}"#).unwrap();
    let (code, message) = failed(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert_eq!(message, format!("mock-upstream: {}: provider `a`: the script has no model `m`\n", file.display()));
    std::fs::remove_file(&file).unwrap();
    let (code, message) = failed(&["--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(message.starts_with(&format!("mock-upstream: cannot read {}: ", file.display())));
}

#[test]
fn a_port_in_use_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let (code, message) = failed(&["--port", &addr.port().to_string()]);
    assert_eq!(code, Some(3));
    let says = format!("mock-upstream: the upstream cannot listen on {addr}: Address already in use");
    assert!(message.starts_with(&says) && message.lines().count() == 1, "{message}");
}
