//! Evidence: what is needed to understand a case that did not pass, in a folder of its own.

use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    drive::{CaseWorld, NotStarted, answer::Answer},
    scenario::CheckId,
    verdict::Finding,
};

/// What is kept of a case.
pub(super) struct Evidence<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) findings: &'a [(CheckId, Finding)],
    pub(super) rerun: &'a str,
}

/// How far a case came, and what there is to keep of it.
pub(super) enum Scene<'a> {
    /// Its scenario is wrong: no gateway was started.
    Control,
    /// Its gateway did not start.
    NotStarted(&'a NotStarted),
    /// Its gateway was driven, and wrote this log.
    Driven { world: &'a CaseWorld, answers: &'a [Answer], log: &'a str },
}

impl Evidence<'_> {
    /// Writes the folder. No credential appears in it.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let findings: Value =
            self.findings.iter().map(|(id, found)| json!({ "check": id.to_string(), "finding": found })).collect();
        let mut texts = vec![
            ("findings.json".to_owned(), pretty(&findings)),
            ("rerun.txt".to_owned(), format!("{}\n", self.rerun)),
        ];
        let log = |log: &str| ("gateway.log".to_owned(), log.to_owned());
        match self.scene {
            Scene::Control => {}
            Scene::NotStarted(NotStarted { error, files }) => {
                texts.extend(error.log_tail().map(log));
                texts.extend(files.iter().map(config));
            }
            Scene::Driven { world, answers, log: written } => {
                let ledger = serde_json::to_value(world.upstream.ledger()).unwrap_or_default();
                texts.push(log(written));
                texts.push(("ledger.json".to_owned(), pretty(&ledger)));
                texts.push(("wire.har".to_owned(), pretty(&har(answers))));
                texts.extend(world.files.iter().map(config));
            }
        }
        for (name, text) in texts {
            let path = folder.join(name);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, self.without_credentials(text))?;
        }
        Ok(())
    }

    /// What is kept of a gateway that did not start holds none any more.
    fn without_credentials(&self, text: String) -> String {
        match self.scene {
            Scene::Driven { world, .. } => world.secrets.redact(&text),
            Scene::Control | Scene::NotStarted(_) => text,
        }
    }
}

fn config((name, text): &(String, String)) -> (String, String) {
    (format!("config/{}", name.replace('/', "_")), text.clone())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The folder for a case, whose name holds nothing that a file system minds.
pub(super) fn folder(root: &Path, target: &str, scenario: &str, case: &str) -> PathBuf {
    let plain = |text: &str| {
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_=.,@".contains(c) { c } else { '-' })
            .take(150)
            .collect::<String>()
    };
    let name = if case.is_empty() { scenario.to_owned() } else { format!("{scenario},{case}") };
    root.join(plain(target)).join(plain(&name))
}

/// The calls as an HTTP archive (HAR 1.2).
fn har(answers: &[Answer]) -> Value {
    let headers = |headers: &mut dyn Iterator<Item = (&String, &String)>| {
        headers.map(|(name, value)| json!({ "name": name, "value": value })).collect::<Value>()
    };
    let entry = |answer: &Answer| {
        let sent = &answer.sent;
        let millis = u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX);
        let body = sent.body.as_ref().map(|body| json!({ "mimeType": "application/json", "text": body.to_string() }));
        json!({
            "startedDateTime": answer.started.to_string(),
            "time": millis,
            "comment": answer.describe(),
            "request": {
                "method": sent.method.word(),
                "url": sent.url,
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "queryString": [],
                "headers": headers(&mut sent.headers.iter().map(|(name, value)| (name, value))),
                "postData": body,
                "headersSize": -1,
                "bodySize": -1,
            },
            "response": {
                "status": answer.status.unwrap_or(0),
                "statusText": "",
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": headers(&mut answer.headers.iter()),
                "content": {
                    "size": answer.bytes.len(),
                    "mimeType": answer.headers.get("content-type"),
                    "text": answer.body(),
                },
                "redirectURL": "",
                "headersSize": -1,
                "bodySize": -1,
            },
            "cache": {},
            "timings": { "send": 0, "wait": millis, "receive": 0 },
        })
    };
    let creator = json!({ "name": "probity", "version": env!("CARGO_PKG_VERSION") });
    json!({ "log": { "version": "1.2", "creator": creator, "entries": answers.iter().map(entry).collect::<Value>(), "comment": written() } })
}

fn written() -> String {
    format!("written {}", Timestamp::now())
}
