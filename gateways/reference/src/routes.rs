//! Routes that are known by what they serve: the router and the description of the API
//! (`openapi`) are made from one table, so that the two cannot diverge.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};
use schemars::JsonSchema;
use serde_json::Value;

use crate::config::inline_schema;
use crate::gateway::Gateway;

/// A method of a path.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) path: String,
    pub(crate) method: Method,
}

/// A method, and what its requests say beside the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Method {
    /// In lower case.
    pub(crate) name: &'static str,
    /// The schema of the fields of the query.
    pub(crate) query: Option<fn() -> Value>,
    /// The schema of the body.
    pub(crate) body: Option<fn() -> Value>,
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
        Method { name, query: None, body: None }
    }
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
