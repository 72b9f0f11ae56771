//! Which version a gateway is: whether its folder starts the one that is asked for, and what it says itself.

use minijinja::Environment;
use regex::Regex;
use serde_json::Value;

use super::{
    load::Gateway,
    manifest::{ContainerLaunch, Launch, VersionProbe},
};

/// The launch of a gateway whose version is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launched {
    /// As a process of this machine.
    Process,
    /// In a container.
    Container,
}

impl Gateway {
    /// Whether another version of the gateway is started when another one is asked for: its command, its
    /// environment, its image or its files are made from `{{ version }}`.
    #[must_use]
    pub fn follows_version(&self, launched: Launched) -> bool {
        let Launch { process, container } = &self.manifest.launch;
        let mut texts: Vec<&String> = Vec::new();
        match launched {
            Launched::Process => {
                texts.extend(process.iter().flat_map(|launch| launch.command.iter().chain(launch.env.values())));
            }
            Launched::Container => {
                if let Some(ContainerLaunch { image, command, env, .. }) = container {
                    texts.extend(std::iter::once(image).chain(command).chain(env.values()));
                }
            }
        }
        texts.extend(self.manifest.files.values().filter_map(|template| self.templates.get(template)));
        texts.into_iter().any(|text| names_version(text))
    }
}

fn names_version(text: &str) -> bool {
    let environment = Environment::new();
    // A text that is no template is found wrong when it is rendered.
    environment.template_from_str(text).is_ok_and(|template| template.undeclared_variables(false).contains("version"))
}

impl VersionProbe {
    /// The version that a gateway's answer says.
    #[must_use]
    pub fn find(&self, body: &str) -> Option<String> {
        let text = match &self.pointer {
            None => body.trim().to_owned(),
            Some(pointer) => serde_json::from_str::<Value>(body).ok()?.pointer(pointer)?.as_str()?.to_owned(),
        };
        let Some(regex) = &self.regex else { return Some(text) };
        // It was compiled when the manifest was read.
        let regex = Regex::new(regex).ok()?;
        let captures = regex.captures(&text)?;
        Some(captures.get(1).or_else(|| captures.get(0))?.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(pointer: Option<&str>, regex: Option<&str>) -> VersionProbe {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        VersionProbe { get: "/version".to_owned(), pointer: owned(pointer), regex: owned(regex) }
    }

    #[test]
    fn a_version_is_found_in_a_field_or_in_the_whole_answer() {
        let found = |pointer, regex, body| probe(pointer, regex).find(body);
        assert_eq!(found(Some(""), Some("^v(.+)$"), "\"v1.5.16\"\n"), Some("1.5.16".to_owned()));
        assert_eq!(found(Some("/version"), None, r#"{"version":"1.2"}"#), Some("1.2".to_owned()));
        assert_eq!(found(None, Some("[0-9.]+"), "gateway 1.2"), Some("1.2".to_owned()));
        assert_eq!(found(None, None, "1.2\n"), Some("1.2".to_owned()));
        assert_eq!(found(Some("/version"), None, "no JSON"), None);
        assert_eq!(found(None, Some("v[0-9]"), "not found"), None);
    }

    #[test]
    fn a_template_names_the_version_where_it_uses_it() {
        assert!(names_version("maximhq/bifrost:v{{ version }}"));
        assert!(!names_version("{{ settings.version }}: the version"));
    }
}
