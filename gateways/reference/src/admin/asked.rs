//! What a request says: in its path, its query and its body. What makes no sense is refused in
//! the gateway's own words.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::reply::{Refused, invalid};
use crate::config::{described, unknown_field};
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::slow_body;

/// The names in a path.
pub(super) struct InPath<T>(pub(super) T);

/// What a query string says. An unknown field is an error that names it.
pub(super) struct InQuery<T>(pub(super) T);

/// What a body says. An unknown field is an error that names it, and so is one that stands
/// there twice.
pub(super) struct InBody<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Gateway>> for InPath<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, gateway: &Arc<Gateway>) -> Result<InPath<T>, Refused> {
        match Path::from_request_parts(parts, gateway).await {
            Ok(Path(names)) => Ok(InPath(names)),
            Err(rejection) => Err(invalid(rejection.body_text()).into()),
        }
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<Gateway>> for InQuery<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<InQuery<T>, Refused> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(said)) => Ok(InQuery(said)),
            Err(rejection) => Err(invalid(said_once(rejection.body_text())).into()),
        }
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Gateway>> for InBody<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, gateway: &Arc<Gateway>) -> Result<InBody<T>, Refused> {
        let most = gateway.client().max_body_bytes;
        Ok(InBody(read(request.into_body(), most).await?))
    }
}

/// What axum says of a query, where it names an unknown field twice.
fn said_once(text: String) -> String {
    match text.find("unknown field `").and_then(|at| unknown_field(text.get(at..)?)) {
        Some((field, problem)) => format!("{field}: {problem}"),
        None => text,
    }
}

/// Reads a body of at most so many bytes.
pub(super) async fn read<T: DeserializeOwned>(body: Body, most: usize) -> Result<T, Problem> {
    parse(&slow_body::whole(body, most).await?)
}

/// Reads a JSON text strictly.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let Distinct = parsed(text)?;
    parsed(text)
}

fn parsed<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        invalid(if error.inner().is_data() { described("", &error).to_string() } else { "Invalid JSON".to_owned() })
    })?;
    json.end().map_err(|_| invalid("Invalid JSON"))?;
    Ok(parsed)
}

/// JSON in which no object has a field twice: nobody could say which of the two is meant.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Distinct, D::Error> {
        deserializer.deserialize_any(Distinct)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Distinct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_str<E>(self, _: &str) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_unit<E>(self) -> Result<Distinct, E> {
        Ok(Distinct)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Distinct, A::Error> {
        while items.next_element::<Distinct>()?.is_some() {}
        Ok(Distinct)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Distinct, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if names.contains(&name) {
                fields.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            fields.next_value::<Distinct>()?;
            names.insert(name);
        }
        Ok(Distinct)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use axum::http::Uri;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_field_that_stands_there_twice_is_refused_wherever_it_stands() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":[{"b":{"c":1,"d":2,"c":1}}]}"#, r#"{"a":1,"\u0061":{}}"#] {
            let problem = parse::<Value>(text.as_bytes()).unwrap_err();
            assert!(problem.message.contains("duplicate field `"), "{}", problem.message);
        }
        parse::<Value>(br#"{"a":{"a":[{"a":1},{"a":-1.5e3},null,true,"a"]}}"#).unwrap();
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the problem is looked at")]
    struct Named {
        name: Option<String>,
    }

    #[test]
    fn an_unknown_field_of_a_query_is_named_once() {
        let uri = Uri::from_static("/api/logs?nonsense=1");
        let rejection = Query::<Named>::try_from_uri(&uri).unwrap_err();
        assert_eq!(said_once(rejection.body_text()), "nonsense: unknown field, expected `name`");
    }

    #[test]
    fn an_unknown_field_is_named_once() {
        let said = |text: &str| parse::<Named>(text.as_bytes()).unwrap_err().message;
        assert_eq!(said(r#"{"nonsense":1}"#), "nonsense: unknown field, expected `name`");
        assert_eq!(said(r#"{"nam":"n"}"#), "nam: unknown field; did you mean `name`?");
        assert_eq!(said(r#"{"name":7}"#), "name: expected a string");
        assert_eq!(said(r#"{"name":"a","name":"b"}"#), "duplicate field `name`");
    }

    #[test]
    fn what_is_no_json_is_told_so() {
        for text in ["", "{", "{}{}", "nan", "{\"a\":NaN}", "{\"a\":1e999}", "\u{feff}{}"] {
            assert_eq!(parse::<Value>(text.as_bytes()).unwrap_err().message, "Invalid JSON", "{text}");
        }
        assert!(parse::<Value>(b"\"\xff\"").is_err());
    }
}
