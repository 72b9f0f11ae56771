//! READMEs as their readers use them: what stands between fences is taken out and used as it is.
//! Only where servers listen, where files are, and what credentials are worth is replaced.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use mock_upstream::{Script, Upstream};
use probity::runtime::{ProcessRuntime, Runtime};
use serde_json::{Value, json};

use super::{
    out, probity, root,
    served::{self, Served},
    wait,
};

/// A README, by its path in the repository.
#[derive(Clone, Copy)]
pub struct Readme(&'static str);

pub const REFERENCE: Readme = Readme("gateways/reference/README.md");
/// What the variable says that it names for its administrator's password.
pub const ADMIN_PASSWORD: &str = "stand-in-for-a-password";
pub const MOCK: Readme = Readme("mock-upstream/README.md");

impl Readme {
    /// The block of this language that is the next after these words.
    #[track_caller]
    pub fn block(self, after: &str, language: &str) -> String {
        let rest = self.after(after);
        let (_, block) = rest.split_once(&format!("```{language}\n")).unwrap();
        block.split_once("```").unwrap().0.to_owned()
    }

    /// What stands in code at the beginning of each row of the table that follows these words.
    #[track_caller]
    pub fn table(self, after: &str) -> Vec<String> {
        let rest = self.after(after);
        let rows = rest.trim_start().lines().take_while(|line| line.starts_with('|'));
        rows.filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
    }

    #[track_caller]
    fn after(self, words: &str) -> String {
        let text = fs::read_to_string(root().join(self.0)).unwrap();
        let (_, rest) = text.split_once(words).unwrap_or_else(|| panic!("{} does not say {words:?}", self.0));
        rest.to_owned()
    }
}

/// The reference gateway's README: its whole configuration.
pub fn config() -> Value {
    serde_json::from_str(&REFERENCE.block("A whole `config.json`", "json")).unwrap()
}

/// Its administrator, as the README has him named there.
fn administrator() -> Value {
    let field = REFERENCE.block("until `config.json` names him", "json");
    let mut section: Value = serde_json::from_str(&format!("{{{field}}}")).unwrap();
    section["auth_config"].take()
}

/// The command line of that README which starts the gateway in this folder and on this port.
fn start(folder: &str, port: u16) -> String {
    let line = REFERENCE.block("A whole `config.json`", "sh");
    let [before, after] = line.split("DIR -port 8080").collect::<Vec<_>>()[..] else { panic!("{line}") };
    format!("{before}{folder} -port {port}{after}")
}

/// Starts the gateway as that README says, in front of a mock of OpenAI that has these models.
pub fn serve(name: &str, models: &Value) -> Served {
    let script: Script = serde_json::from_value(json!({ "providers": { "openai": {} }, "models": models })).unwrap();
    let upstream = wait(Upstream::start(([127, 0, 0, 1], 0).into(), script)).unwrap();
    let mut config = config();
    let address = format!("http://{}/openai", upstream.addr());
    config["providers"]["openai"]["network_config"] = json!({ "base_url": address });
    config["governance"]["auth_config"] = administrator();
    let folder = out(&format!("readme-{name}"));
    let path = executables(&folder);
    let key = "sk-stand-in-for-a-credential";
    let env = [("PATH", path.as_str()), ("OPENAI_API_KEY", key), ("ADMIN_PASSWORD", ADMIN_PASSWORD)];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let runtime = ProcessRuntime::new(folder).unwrap();
    let instance = wait(async {
        let site = runtime.site(None).await.unwrap();
        let line = format!("exec {}", start(&site.data, site.port));
        let command = ["/bin/sh", "-c", &line].map(str::to_owned).to_vec();
        served::process(&runtime, site, command, &config, env).await
    });
    let instance = instance.unwrap_or_else(|error| panic!("{error}\n{}", error.log_tail().unwrap_or_default()));
    Served::alone(instance, "sk-proxy", upstream)
}

/// What PATH is where the executable of that README is installed: as the README says, `probity serve
/// reference` is the same.
fn executables(folder: &Path) -> String {
    fs::create_dir_all(folder).unwrap();
    let file = folder.join("probity-reference");
    fs::write(&file, format!("#!/bin/sh\nexec '{}' serve reference \"$@\"\n", probity().display())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}
