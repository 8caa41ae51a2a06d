//! What is timed: routes, and the dependencies that they call.

use std::fmt;
use std::hash::Hash;

use outrigger_semconv::{cache, db, http, label};
use serde::{Deserialize, Serialize};

use crate::series::Point;

/// What tells the routes, or the dependencies, of a target apart.
pub(crate) trait Key: Clone + Eq + Hash + Ord + fmt::Debug {
    /// The histograms that time it.
    const FAMILIES: &'static [&'static str];

    /// What a series of them is about.
    fn of(point: &Point) -> Self;

    /// Whether it is one thing, and no remainder of what strangers ask for, whose mixture changes at will.
    fn is_one(&self) -> bool;
}

/// A method and a route template.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RouteKey {
    pub(crate) method: String,
    pub(crate) route: String,
}

impl Key for RouteKey {
    const FAMILIES: &'static [&'static str] = &[http::SERVER_REQUEST_DURATION.name];

    fn of(point: &Point) -> Self {
        let text = |name, default: &str| point.label(name).unwrap_or(default).to_owned();
        Self {
            method: text(label::HTTP_REQUEST_METHOD, label::OTHER_METHOD),
            route: text(label::HTTP_ROUTE, label::UNMATCHED_ROUTE),
        }
    }

    fn is_one(&self) -> bool {
        self.route != label::UNMATCHED_ROUTE
    }
}

/// Something that the service calls: a server by HTTP, an operation of a database, the load of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct DependencyKey {
    /// `http`, `cache`, or the database's system such as `postgresql`.
    pub(crate) system: String,
    /// The server's address, the cache's name, or operation and collection.
    pub(crate) name: String,
}

/// The system of a database that does not say which it is.
const DATABASE: &str = "database";
/// The most characters of a dependency's name.
const MAX_NAME: usize = 200;

impl Key for DependencyKey {
    const FAMILIES: &'static [&'static str] =
        &[http::CLIENT_REQUEST_DURATION.name, db::CLIENT_OPERATION_DURATION.name, cache::LOAD_DURATION.name];

    fn of(point: &Point) -> Self {
        let words = |names: &[&str], separator: &str| {
            let words = names.iter().filter_map(|name| point.label(name)).filter(|word| !word.is_empty());
            let words = words.collect::<Vec<_>>().join(separator);
            // A page may say anything, and names are kept for long.
            if words.len() > MAX_NAME { words.chars().take(MAX_NAME).collect() } else { words }
        };
        let server = words(&[label::SERVER_ADDRESS, label::SERVER_PORT], ":");
        let cache = words(&[label::CACHE_NAME], "");
        let operation = words(&[label::DB_OPERATION_NAME, label::DB_COLLECTION_NAME], " ");
        let system = words(&[label::DB_SYSTEM_NAME], "");
        // A database may name its server as well.
        let (system, name) = if !system.is_empty() || !operation.is_empty() {
            (if system.is_empty() { DATABASE.to_owned() } else { system }, operation)
        } else if !cache.is_empty() {
            ("cache".to_owned(), cache)
        } else {
            ("http".to_owned(), server)
        };
        Self { system, name }
    }

    fn is_one(&self) -> bool {
        self.name != label::OTHER && !self.name.is_empty()
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.route)
    }
}

impl fmt::Display for DependencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.system, self.name)
    }
}

/// Whether what a series counts has failed.
pub(super) fn is_failure(point: &Point) -> bool {
    let server_error = |code: &str| code.parse::<u16>().is_ok_and(|code| code >= 500);
    if point.label(label::HTTP_RESPONSE_STATUS_CODE).is_some_and(server_error) {
        return true;
    }
    // Some instrumentations repeat a client's error here; it is judged as the status that it is.
    point.label(label::ERROR_TYPE).is_some_and(|error| match error.parse::<u16>() {
        Ok(_) => server_error(error),
        Err(_) => !error.is_empty() && error != CANCELLED,
    })
}

/// The error of a request that its client gave up.
pub(crate) const CANCELLED: &str = "cancelled";
