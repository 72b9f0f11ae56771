//! Admin operations: the manifest's requests, with their templates filled in.

use minijinja::Value as TemplateValue;
use serde_json::Value;

use super::{
    manifest::{AdminApi, Method, Operation},
    render::{RenderError, Renderer},
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

impl AdminApi {
    /// The request for an operation, with the values given beside the world.
    ///
    /// # Errors
    /// When a template fails.
    pub fn request(
        &self,
        operation: &Operation,
        renderer: &Renderer<'_>,
        values: &TemplateValue,
    ) -> Result<AdminRequest, RenderError> {
        let header = |(name, value): (&String, &String)| {
            Ok((name.clone(), renderer.text("gateway.yaml admin.headers", value, values)?))
        };
        let body = match (&operation.body_file, &operation.body) {
            (Some(template), _) => Some(renderer.json_file(template, values)?),
            (None, Some(body)) => Some(renderer.json("gateway.yaml admin", body, values)?),
            (None, None) => None,
        };
        Ok(AdminRequest {
            method: operation.method,
            path: renderer.text("gateway.yaml admin", &operation.path, values)?,
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
            body,
        })
    }
}

impl Operation {
    /// A value that the operation takes from its answer, by name.
    #[must_use]
    pub fn taken<'a>(&self, name: &str, answer: &'a Value) -> Option<&'a Value> {
        self.take.get(name)?.iter().find_map(|pointer| answer.pointer(pointer))
    }
}
