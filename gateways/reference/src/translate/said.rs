//! What is said to a caller in a stream.

use serde_json::Value;

/// One event of a caller's protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The event's name, where the protocol names its events.
    pub(crate) name: Option<&'static str>,
    pub(crate) data: String,
}

impl Said {
    /// An event without a name.
    pub(crate) fn data(data: &Value) -> Said {
        Said { name: None, data: data.to_string() }
    }

    /// An event that is named after its `type`.
    pub(crate) fn named(name: &'static str, data: &Value) -> Said {
        Said { name: Some(name), data: data.to_string() }
    }

    /// The end marker of OpenAI's older APIs.
    pub(crate) fn done() -> Said {
        Said { name: None, data: "[DONE]".to_owned() }
    }

    /// As a server-sent event.
    pub(crate) fn write(&self, out: &mut String) {
        if let Some(name) = self.name {
            out.push_str("event: ");
            out.push_str(name);
            out.push('\n');
        }
        out.push_str("data: ");
        out.push_str(&self.data);
        out.push_str("\n\n");
    }
}

/// What a caller receives of these events.
#[cfg(test)]
pub(crate) fn written(events: &[Said]) -> String {
    let mut out = String::new();
    events.iter().for_each(|said| said.write(&mut out));
    out
}
