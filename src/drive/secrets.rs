//! No credential appears in a log, a report or an evidence folder: they are replaced where text is taken in.

/// The credentials of one case, and the words that stand for them.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    known: Vec<(String, String)>,
}

impl Secrets {
    /// From now on this value is shown as `<what>`.
    pub fn plant(&mut self, value: &str, what: &str) {
        if !value.is_empty() {
            self.known.push((value.to_owned(), format!("<{what}>")));
            // A longer secret may contain a shorter one.
            self.known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        }
    }

    /// The text without any credential.
    pub fn redact(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (value, word)| text.replace(value.as_str(), word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_of_two_credentials_is_replaced_whole() {
        let mut secrets = Secrets::default();
        secrets.plant("key", "short");
        secrets.plant("key-and-more", "long");
        assert_eq!(secrets.redact("Bearer key-and-more, key"), "Bearer <long>, <short>");
    }
}
