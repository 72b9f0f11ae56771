//! Programs that use a gateway as its users do, and tell what they were given.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::process::Command;

use super::{served::Served, wait};

/// What the mock answers; its characters have one to four bytes.
pub const REPLY: &str = "A café in 東京 serves 🍵 for 3 €.";

/// A program may take so long, its interpreter's own start on a busy machine among it.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// As whom a program calls a gateway.
pub struct Caller<'a> {
    pub gateway: &'a Served,
    /// The value of a virtual key; a program without one sends none.
    pub key: Option<&'a str>,
    /// Whether the gateway's clock moves with a program's waits.
    pub waits: bool,
}

impl<'a> Caller<'a> {
    /// The virtual key `agent`, with a clock that stands.
    pub fn agent(gateway: &'a Served) -> Self {
        Self { gateway, key: Some(&gateway.key), waits: false }
    }

    /// Runs a program with a case and its options, and reads what came of each call.
    pub fn run<T: DeserializeOwned>(&self, mut program: Command, case: &str, options: &Value) -> Vec<T> {
        // Without this machine's variables: keys and addresses of real providers may be among them.
        program.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        program.env("GATEWAY", &self.gateway.url).envs(self.key.map(|key| ("KEY", key)));
        program.envs(self.waits.then(|| ("CLOCK", self.gateway.admin.as_ref().unwrap())));
        program.arg(case).arg(options.to_string()).kill_on_drop(true);
        let output = wait(async { tokio::time::timeout(ENDS_WITHIN, program.output()).await });
        let output = output.expect("the program must end").unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}
