//! Routes that are known by what they serve: the router and the description of the API
//! (`openapi`) are made from one table, so that the two cannot diverge.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use crate::gateway::Gateway;

/// A method of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) path: String,
    /// In lower case.
    pub(crate) method: &'static str,
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
    names: Vec<&'static str>,
}

macro_rules! methods {
    (first: $($first:ident),*; then: $($then:ident),*) => {
        $(
            /// A path that answers to this method.
            pub(crate) fn $first<H: Handler<T, Arc<Gateway>>, T: 'static>(handler: H) -> Methods {
                Methods { router: routing::$first(handler), names: vec![stringify!($first)] }
            }
        )*

        impl Methods {
            $(
                /// The path answers to this method too.
                pub(crate) fn $then<H: Handler<T, Arc<Gateway>>, T: 'static>(mut self, handler: H) -> Methods {
                    self.names.push(stringify!($then));
                    Methods { router: self.router.$then(handler), names: self.names }
                }
            )*
        }
    };
}

methods!(first: get, post, put; then: delete, patch, post, put);

impl Routes {
    pub(crate) fn new() -> Routes {
        Routes::default()
    }

    pub(crate) fn route(mut self, path: &str, methods: Methods) -> Routes {
        self.table.extend(methods.names.iter().map(|method| Served { path: path.to_owned(), method }));
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
