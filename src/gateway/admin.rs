//! Admin operations: the manifest's requests, with their templates filled in.

use serde_json::Value;

use super::{
    manifest::{AdminApi, Method, Operation},
    render::{Asked, RenderError, Renderer},
};

/// A request to a management API, ready to be sent.
#[derive(Clone, Debug)]
pub struct AdminRequest {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its JSON body.
    pub body: Option<Value>,
}

impl AdminRequest {
    /// Its method and path, for people.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {}", self.method.word(), self.path)
    }
}

impl AdminApi {
    /// The request for an operation. `asked` is a mapping of what its templates see beside the world: of
    /// a mapping or list in it, such as `key`, every part must be read.
    ///
    /// # Errors
    /// When a template fails, or does not express a part of what is asked.
    pub fn request(
        &self,
        operation: &Operation,
        renderer: &Renderer<'_>,
        asked: &Value,
    ) -> Result<AdminRequest, RenderError> {
        let kind = asked["kind"].as_str();
        let collection = self.collections.iter().find(|(known, _)| kind == Some(known.word())).map(|(_, word)| word);
        let asked = Asked::new(asked);
        let values = &match collection {
            Some(collection) => minijinja::context! { collection, ..asked.values.clone() },
            None => asked.values.clone(),
        };
        let header = |(name, value): (&String, &String)| {
            Ok((name.clone(), renderer.text("gateway.yaml admin.headers", value, values)?))
        };
        let body = match (&operation.body_file, &operation.body) {
            (Some(template), _) => Some(renderer.json_file(template, values)?),
            (None, Some(body)) => Some(renderer.json("gateway.yaml admin", body, values)?),
            (None, None) => None,
        };
        let request = AdminRequest {
            method: operation.method,
            path: renderer.text("gateway.yaml admin", &operation.path, values)?,
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
            body,
        };
        renderer.all_read(&asked)?;
        Ok(request)
    }
}

impl Operation {
    /// A value that the operation takes from its answer, by name; nothing if it takes none of this name.
    ///
    /// # Errors
    /// When the answer holds nothing at any of its pointers: these.
    pub fn taken<'a>(&self, name: &str, answer: &'a Value) -> Result<Option<&'a Value>, String> {
        let Some(pointers) = self.take.get(name) else { return Ok(None) };
        let found = pointers.iter().find_map(|pointer| answer.pointer(pointer));
        found.map(Some).ok_or_else(|| pointers.join(", "))
    }
}
