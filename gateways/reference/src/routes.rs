//! Routes that are known by what they serve: the router and the description of the API
//! (`openapi`) are made from one table, so that the two cannot diverge.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::routing::{self, MethodRouter};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use crate::config::inline_schema;
use crate::gateway::Gateway;

/// A method of a path.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) path: String,
    pub(crate) method: Method,
}

/// A method, what its requests say beside the path, and what it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    /// In lower case.
    pub(crate) name: &'static str,
    /// The schema of the fields of the query.
    pub(crate) query: Option<fn() -> Value>,
    /// The schema of the body.
    pub(crate) body: Option<fn() -> Value>,
    pub(crate) answer: Answer,
}

/// What a method answers where nothing goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// With each of these statuses.
    pub(crate) statuses: &'static [StatusCode],
    /// What OpenAPI calls its content: the schema of the body for each media type.
    pub(crate) content: fn(&mut SchemaGenerator) -> Value,
}

/// A router and what it serves.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    router: Router<Arc<Gateway>>,
    table: Vec<Served>,
}

/// The methods of one path.
pub(crate) struct Methods {
    router: MethodRouter<Arc<Gateway>, Infallible>,
    methods: Vec<Method>,
}

macro_rules! methods {
    (first: $($first:ident),*; then: $($then:ident),*) => {
        $(
            /// A path that answers to this method.
            pub(crate) fn $first<H: Handler<T, Arc<Gateway>>, T: 'static>(handler: H) -> Methods {
                Methods { router: routing::$first(handler), methods: vec![Method::named(stringify!($first))] }
            }
        )*

        impl Methods {
            $(
                /// The path answers to this method too.
                pub(crate) fn $then<H: Handler<T, Arc<Gateway>>, T: 'static>(mut self, handler: H) -> Methods {
                    self.methods.push(Method::named(stringify!($then)));
                    Methods { router: self.router.$then(handler), methods: self.methods }
                }
            )*
        }
    };
}

methods!(first: get, post, put; then: delete, patch, post, put);

impl Method {
    pub(crate) fn named(name: &'static str) -> Method {
        let answer = Answer { statuses: &[StatusCode::OK], content: |_| json!({}) };
        Method { name, query: None, body: None, answer }
    }
}

impl Answer {
    pub(crate) fn json<T: JsonSchema>() -> Answer {
        Answer { statuses: &[StatusCode::OK], content: |generator| json_content(generator.subschema_for::<T>()) }
    }
}

/// What OpenAPI calls the content of a body in JSON that has this schema.
pub(crate) fn json_content(schema: impl Into<Value>) -> Value {
    content("application/json", schema)
}

/// The same of another media type.
pub(crate) fn content(media_type: &str, schema: impl Into<Value>) -> Value {
    json!({ (media_type): { "schema": schema.into() } })
}

impl Methods {
    /// The last method's query has these fields.
    pub(crate) fn asking<T: JsonSchema>(mut self) -> Methods {
        self.methods.iter_mut().last().into_iter().for_each(|method| method.query = Some(inline_schema::<T>));
        self
    }

    /// The last method's body is such a one.
    pub(crate) fn taking<T: JsonSchema>(self) -> Methods {
        self.taking_what(inline_schema::<T>)
    }

    /// The last method's body has this schema.
    pub(crate) fn taking_what(mut self, schema: fn() -> Value) -> Methods {
        self.methods.iter_mut().last().into_iter().for_each(|method| method.body = Some(schema));
        self
    }

    /// The last method answers such a thing.
    pub(crate) fn answering<T: JsonSchema>(self) -> Methods {
        self.answering_what(Answer::json::<T>().content)
    }

    /// The last method's answer has this content.
    pub(crate) fn answering_what(mut self, content: fn(&mut SchemaGenerator) -> Value) -> Methods {
        self.methods.iter_mut().last().into_iter().for_each(|method| method.answer.content = content);
        self
    }

    /// The last method answers so with each of these statuses, rather than with 200.
    pub(crate) fn with(mut self, statuses: &'static [StatusCode]) -> Methods {
        self.methods.iter_mut().last().into_iter().for_each(|method| method.answer.statuses = statuses);
        self
    }
}

impl Routes {
    pub(crate) fn new() -> Routes {
        Routes::default()
    }

    pub(crate) fn route(mut self, path: &str, methods: Methods) -> Routes {
        self.table.extend(methods.methods.iter().map(|method| Served { path: path.to_owned(), method: *method }));
        Routes { router: self.router.route(path, methods.router), table: self.table }
    }

    pub(crate) fn merge(mut self, other: Routes) -> Routes {
        self.table.extend(other.table);
        Routes { router: self.router.merge(other.router), table: self.table }
    }

    /// The other routes below `prefix`.
    pub(crate) fn nest(mut self, prefix: &str, other: Routes) -> Routes {
        let nested = other.table.into_iter();
        self.table.extend(nested.map(|served| Served { path: format!("{prefix}{}", served.path), ..served }));
        Routes { router: self.router.nest(prefix, other.router), table: self.table }
    }

    /// What is served, in the order in which it was said.
    pub(crate) fn table(&self) -> &[Served] {
        &self.table
    }

    pub(crate) fn into_router(self) -> Router<Arc<Gateway>> {
        self.router
    }
}
