//! Routes, and the list of what they serve: axum's own router tells nobody what it has.

use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, on},
};
use http::Method;
use tertulia::Homeserver;

/// A method and the template of a path that the server answers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// What is done with it.
    pub method: String,
    /// The path, with its parameters in braces.
    pub path: String,
}

/// Routes of a server, and what they serve.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<Homeserver>,
    served: Vec<Served>,
}

impl Routes {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers to `method` at `path` with `handler`.
    ///
    /// # Panics
    ///
    /// If something answers there already, or the method is none of HTTP's own: mistakes in the
    /// program, which show at its start.
    #[must_use]
    pub fn at<H, T>(mut self, method: Method, path: &str, handler: H) -> Self
    where
        H: Handler<T, Homeserver>,
        T: 'static,
    {
        self.served.push(Served { method: method.to_string(), path: path.to_owned() });
        let method = MethodFilter::try_from(method).expect("the method is an ordinary one");
        Self { router: self.router.route(path, on(method, handler)), ..self }
    }

    /// These routes and those.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.served.extend(others.served);
        Self { router: self.router.merge(others.router), ..self }
    }

    /// What is served here.
    pub fn served(&self) -> &[Served] {
        &self.served
    }

    /// The routes, to be mounted.
    pub fn into_router(self) -> Router<Homeserver> {
        self.router
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_merged_is_listed_with_the_rest() {
        let routes = Routes::new().at(Method::GET, "/a/{b}", async || "a");
        let others = Routes::new().at(Method::PUT, "/c", async || "c");
        let all = routes.merge(others);
        let listed = all.served().iter().map(|served| format!("{} {}", served.method, served.path));
        assert_eq!(listed.collect::<Vec<_>>(), ["GET /a/{b}", "PUT /c"]);
    }
}
