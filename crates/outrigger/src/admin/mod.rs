//! The admin listener: `/metrics` and health on a port of its own, away from the service's users.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let metrics = outrigger::install()?;
//! metrics.serve_admin();
//! # Ok(())
//! # }
//! ```
//!
//! or with all that it can do:
//!
//! ```no_run
//! # use std::convert::Infallible;
//! # use axum::{Router, routing::get};
//! # #[derive(Clone)] struct Database;
//! # impl Database { async fn ping(&self) -> Result<(), Infallible> { Ok(()) } }
//! # async fn example(metrics: outrigger::Metrics, database: Database) {
//! let admin = metrics
//!     .admin()
//!     .listen(([0, 0, 0, 0], 9464))
//!     .bearer_token("from the vault") // or OUTRIGGER_ADMIN_TOKEN
//!     .check("database", move || {
//!         let database = database.clone();
//!         async move { database.ping().await }
//!     })
//!     .routes(Router::new().route("/version", get(|| async { "1.2.3" })))
//!     .link("/version", "the release that runs")
//!     .serve();
//! # admin.drain();
//! # }
//! ```
//!
//! | path | answer | token |
//! |---|---|---|
//! | `/` | an index of this table, as HTML to a browser and else as text | asked for |
//! | `/metrics` | 200 and the page; 503 when these [`Metrics`] have none; 500 when it could not be made | asked for |
//! | `/-/ready` | 200 when the service is ready, else 503: see [checks](#checks) | open |
//! | `/-/healthy` | 200 while the service is alive, else 503: see [checks](#checks) | open |
//! | `/debug/pprof/` | with the feature `profile`: CPU and heap profiles, see `outrigger::profile` | asked for |
//! | any other | what your own [`routes`](Admin::routes) say, else 404 | asked for |
//!
//! The page of our recorder comes in the format that `Accept` weighs highest: OpenMetrics 1.0, Prometheus protobuf (with
//! the feature `protobuf`) or else the Prometheus text format 0.0.4. Other pages are in the text format. `HEAD` is answered without making a page, and what
//! `Accept-Encoding: gzip` asks for is compressed.
//!
//! | setting | environment variable | default |
//! |---|---|---|
//! | [`listen`](Admin::listen) | `OUTRIGGER_ADMIN_LISTEN`, as `host:port` | 127.0.0.1:9464 |
//! | [`bearer_token`](Admin::bearer_token) | `OUTRIGGER_ADMIN_TOKEN` | no token |
//! | [`check`](Admin::check), [`liveness_check`](Admin::liveness_check) | | none: ready and alive |
//! | [`check_timeout`](Admin::check_timeout) | | 800 ms |
//! | [`routes`](Admin::routes), [`link`](Admin::link) | | none |
//!
//! A setting in the program overrides the variable. **It never stops the service**: an address that is taken is logged,
//! counted in `outrigger_admin_bind_failures_total`, and tried again after 1 to 30 seconds until it is free; an address
//! that cannot be read is logged and counted once. The variable's host may be a name, which is looked up at each attempt.
//!
//! # Who may read it
//!
//! It listens on this machine alone unless an address says otherwise. Where other machines reach it and it has no token, it
//! serves all the same (a network policy may be what keeps others out), and logs a warning that says so.
//!
//! With a token, a request without it gets a 401 with `WWW-Authenticate: Bearer` and is counted in
//! `outrigger_admin_unauthorized_total`. Tokens are compared in constant time. A token that is empty, as
//! `OUTRIGGER_ADMIN_TOKEN=` is, or that no header can carry, is an error in the log, and then nobody is let through. Only the
//! two probes stay open, because an orchestrator has no token to send; a wrong token that is sent to them is counted all the
//! same. The listener speaks no TLS: a token that crosses a
//! network wants a proxy or a mesh that does. Prometheus sends one with
//! `authorization: { credentials_file: /run/secrets/outrigger }` in its scrape configuration.
//!
//! # Checks
//!
//! A check is a name and an async function whose `Result` says how it went. `/-/ready` runs all of its checks at the same
//! time and says 200 when all succeed; `/-/healthy` does so with those of [`liveness_check`](Admin::liveness_check). The
//! answer has a line for each:
//!
//! ```text
//! not ready
//! database: timed out after 800ms
//! warm: ok
//! ```
//!
//! What a check says of its failure may hold addresses and passwords. It goes to the log, when the check begins to fail,
//! and into the answer to those who send the token; everybody else reads `failed`.
//!
//! An answer is kept for a second, and who asks meanwhile, or while the checks run, shares it: however many probe, a
//! database is asked no more than once a second. A run goes on when the probe that began it has given up. A check that
//! panics has failed. It must not block its thread, as no async function may: one that does so beyond its time is not run a
//! second time beside itself.
//!
//! | metric | kind | labels | says |
//! |---|---|---|---|
//! | `outrigger_check_up` | gauge | `check`, `probe` (`readiness`, `liveness`) | 1 when the check succeeded last, else 0 |
//! | `outrigger_check_duration_seconds` | gauge | the same | how long it took |
//! | `outrigger_admin_bind_failures_total` | counter | | attempts to bind that failed |
//! | `outrigger_admin_unauthorized_total` | counter | | requests without the token; at the probes, with a wrong one |
//!
//! A scrape runs the checks too, if nobody else did within the last second, and does not wait for them: without any probe,
//! the gauges are one scrape behind. The first 64 checks of each probe have gauges; what the others say is counted in
//! `outrigger_series_dropped_total`.
//!
//! # The end
//!
//! A load balancer goes on sending requests until a probe has told it not to. So say "not ready" first, stop accepting when
//! that has been seen, and end the listener last:
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn told_to_end() {}
//! # async fn example(
//! #     metrics: outrigger::Metrics, app: axum::Router, listener: tokio::net::TcpListener,
//! # ) -> std::io::Result<()> {
//! let admin = metrics.serve_admin();
//! let draining = admin.clone();
//! let end = async move {
//!     told_to_end().await;
//!     draining.drain();
//!     tokio::time::sleep(Duration::from_secs(5)).await; // longer than the probe's period
//! };
//! axum::serve(listener, app).with_graceful_shutdown(end).await?;
//! metrics.shutdown().await;
//! admin.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`AdminListener::shutdown`] says "not ready" too, lets the answers under way end for five seconds at most, and drops the
//! checks that are under way.
//!
//! # Limits
//!
//! 64 connections at a time, and more wait to be accepted: probes too, which share them with everybody else. An address that
//! others reach wants a network policy or a proxy that keeps the crowd away, as those who wait for nothing but an answer
//! can keep a probe waiting. Ten seconds for a request's headers; five minutes for a connection, and ninety seconds more
//! for the answer that is under way then. The page of our recorder is made and sent in pieces of at most 64 KiB, as fast as the client reads it, and
//! is nowhere as a whole; a client that leaves takes the rest with it. Collectors run before, on Tokio's blocking pool,
//! and so is a page rendered that is made by a function of yours, or by the exporter. What panics in there costs that page:
//! the answer is a 500, and the log says why. Of a check's name 100 characters are kept, of its failure 500.

mod bind;
mod body;
mod checks;
mod index;
mod listener;
mod page;
mod phase;
mod probes;
mod scrape;
mod serve;
mod token;

use std::error::Error;
use std::fmt;
use std::mem::take;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::sync::watch;

use self::bind::{Address, Served};
use self::checks::{Check, Checks};
use self::index::Link;
pub use self::listener::AdminListener;
use self::phase::Phase;
use self::probes::Probes;
use self::token::Token;
use crate::Metrics;

impl Metrics {
    /// Serves the admin page where it is expected: [`admin()`](Self::admin) with its defaults.
    ///
    /// Call it within a Tokio runtime. The listener runs in a task of its own; the handle may be dropped.
    pub fn serve_admin(&self) -> AdminListener {
        self.admin().serve()
    }

    /// The admin listener, to be adjusted before it serves.
    pub fn admin(&self) -> Admin {
        Admin {
            metrics: self.clone(),
            address: None,
            token: None,
            readiness: Vec::new(),
            liveness: Vec::new(),
            timeout: CHECK_TIMEOUT,
            routes: None,
            links: Vec::new(),
        }
    }

    /// The routes of the admin listener, to be mounted elsewhere: [`admin()`](Self::admin) with its defaults, made
    /// [into a router](Admin::into_router).
    pub fn admin_router(&self) -> Router {
        self.admin().into_router()
    }
}

/// Settings of the admin listener. See the [module](self).
#[must_use = "nothing listens until `serve()` is called"]
pub struct Admin {
    metrics: Metrics,
    address: Option<SocketAddr>,
    token: Option<String>,
    readiness: Vec<Check>,
    liveness: Vec<Check>,
    timeout: Duration,
    routes: Option<Router>,
    links: Vec<Link>,
}

impl Admin {
    /// Where to listen. Port 0 takes a free one.
    ///
    /// Defaults to `OUTRIGGER_ADMIN_LISTEN`, else 127.0.0.1:9464.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Answers only those who send this token (`Authorization: Bearer ...`), and all others with a 401; the two probes
    /// stay open. Spaces and line feeds round it do not count.
    ///
    /// Defaults to `OUTRIGGER_ADMIN_TOKEN`, else no token. One that is empty, or that no header can carry, is logged as an
    /// error, and then nobody is let through: it never means that there is no token.
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Asked by `/-/ready`: the service is ready when all of these succeed. Defaults to none: always ready.
    ///
    /// The name becomes a label and a line of the answer, and a name that is given twice means the later one.
    /// See [checks](self#checks).
    pub fn check<T, E, F>(mut self, name: &str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        add(&mut self.readiness, Check::new(name, check));
        self
    }

    /// Asked by `/-/healthy`, as [`check`](Self::check) is by `/-/ready`. Defaults to none: always healthy.
    ///
    /// A service that fails it is killed and started again. Ask only for what a restart mends, such as a deadlock, and
    /// never for a database: while that is away, a restart helps nobody.
    pub fn liveness_check<T, E, F>(mut self, name: &str, check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        add(&mut self.liveness, Check::new(name, check));
        self
    }

    /// How long each check may take before it has failed and is dropped.
    ///
    /// Defaults to 800 ms: Kubernetes gives a probe up after a second, and would not read what failed.
    pub fn check_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Routes of your own, beside ours and behind the same token. Defaults to none.
    ///
    /// A path that we serve stays ours, also where this router has it too, and its layers see nothing of that path.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = Some(routes);
        self
    }

    /// A line of the index at `/` for one of your own [`routes`](Self::routes).
    pub fn link(mut self, path: &str, about: &str) -> Self {
        self.links.push(Link::new(path, about));
        self
    }

    /// Binds, or goes on trying, and serves from a task of its own until [`AdminListener::shutdown`].
    ///
    /// Call it within a Tokio runtime that has I/O and time enabled, as `#[tokio::main]` has; outside of one, that is
    /// logged and counted as a failure to bind.
    pub fn serve(mut self) -> AdminListener {
        let (sender, phase) = watch::channel(Phase::Serving);
        let token = Token::chosen(self.token.as_deref());
        let routes = self.routes.take().unwrap_or_default();
        let (metrics, address) = (self.metrics.clone(), Address::chosen(self.address));
        let links: Arc<[Link]> =
            OURS.iter().map(|(path, about)| Link::new(path, about)).chain(take(&mut self.links)).collect();
        let (own, probes) = self.build(&token, phase);
        let own = own.route("/", get(index::index).with_state(links));
        let has_token = !token.is_none();
        // Everything but the probes, and also what is not there.
        let router = own.fallback_service(routes).layer(from_fn_with_state((token, metrics.clone()), token::require));
        bind::serve(metrics, address, Served { router: router.merge(probes), has_token }, sender)
    }

    /// The routes alone, to be served or mounted elsewhere, without the index. Where to listen does not matter then, and a
    /// service that ends stays ready. The token covers these routes, your own included, and none that are added later.
    /// With [`routes`](Self::routes) of your own it answers every path: nest it then, instead of merging it.
    pub fn into_router(mut self) -> Router {
        let (_, phase) = watch::channel(Phase::Serving);
        let token = Token::chosen(self.token.as_deref());
        let (metrics, routes) = (self.metrics.clone(), self.routes.take());
        let (own, probes) = self.build(&token, phase);
        let layer = from_fn_with_state((token, metrics), token::require);
        // Without routes of your own, what is not there is for those to answer who mount this.
        let router = match routes {
            Some(routes) => own.fallback_service(routes).layer(layer),
            None => own.route_layer(layer),
        };
        router.merge(probes)
    }

    /// What the token covers, and the probes that it does not.
    fn build(self, token: &Token, phase: watch::Receiver<Phase>) -> (Router, Router) {
        let Self { metrics, readiness, liveness, timeout, .. } = self;
        token::count_refused(&metrics, 0);
        let probes = Probes {
            readiness: Checks::new(&metrics, "readiness", timeout, readiness),
            liveness: Checks::new(&metrics, "liveness", timeout, liveness),
            phase,
            token: token.clone(),
            metrics: metrics.clone(),
        };
        let watch = from_fn_with_state((metrics.clone(), probes.clone()), scrape::watch);
        #[cfg(feature = "profile")]
        let profiles = crate::profile::routes(&metrics);
        let own = page::routes().with_state(metrics).route_layer(watch);
        #[cfg(feature = "profile")]
        let own = own.merge(profiles);
        (own, probes::routes(probes))
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("metrics", &self.metrics).field("address", &self.address).finish_non_exhaustive()
    }
}

fn add(checks: &mut Vec<Check>, check: Check) {
    checks.retain(|other| other.name() != check.name());
    checks.push(check);
}

/// The index, in its order.
const OURS: &[(&str, &str)] = &[
    ("/metrics", "the metrics page"),
    (probes::READY, "whether the service is ready, check by check"),
    (probes::HEALTHY, "whether the service is alive"),
    #[cfg(feature = "profile")]
    ("/debug/pprof/", "profiles of the CPU and the heap"),
];
const CHECK_TIMEOUT: Duration = Duration::from_millis(800);
