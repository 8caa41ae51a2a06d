//! An example shop. What Outrigger asks of a service is in this file and marked with `(n)`; the rest is the shop.

mod catalog;
mod config;
mod error;
mod faults;
mod passwords;
mod recommendations;
mod routes;
mod shutdown;
mod store;
mod telemetry;
mod workers;

use axum::Router;
use axum::middleware::from_fn_with_state;
use catalog::Catalog;
use clap::Parser;
use config::Config;
use faults::{Injector, Switches, TruthFile};
use outrigger::admin::AdminListener;
use passwords::Passwords;
use recommendations::Recommendations;
use routes::Shop;
use routes::limits::Limits;
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use store::Database;
use telemetry::Telemetry;
use tokio::net::TcpListener;
use workers::Workers;

/// Requests that are under way when the shop is told to end may take this long to finish.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    match run(&config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shop: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    let mut stop = shutdown::Signal::listen()?;
    let telemetry = Telemetry::init(config)?;
    let truth = TruthFile::open(config.truth_file.as_deref()).map_err(|error| format!("--truth-file: {error}"))?;
    // Bound first, so that a port that is taken is said before the shop is stocked.
    let address = config.listen;
    let listener = TcpListener::bind(address).await.map_err(|error| {
        format!("--listen {address}: {error}; choose another with --listen HOST:PORT or SHOP_LISTEN")
    })?;

    // (1) Install the recorder, once, before anything measures.
    let metrics = outrigger::install()?.slow_queries(config.slow_query);
    // (2) Watch the runtime that all of this runs on.
    metrics.watch_runtime();

    // (3) Time all that goes through the pool and (4) look at the plans of what is slow: see `store`.
    // (5) Count the caches' hits and misses, and time Redis: see `catalog`.
    // (6) Count background work and how it ends, and guard what it depends on: see `workers`. Time the calls to other
    // services: see `recommendations`.
    let (db, folder) = tokio::select! {
        opened = Database::open(config, &metrics) => opened?,
        () = stop.wait() => return Ok(()),
    };
    let catalog = Catalog::new(&db, catalog::redis(config, &metrics)?, &metrics);
    let (queue, workers) = Workers::start(config, &metrics, &db, &catalog);
    let switches = Switches::new(truth);

    let shop = Shop { db: db.clone(), catalog, passwords: Passwords::new(), queue };
    let injector = Injector::new(switches.clone(), db.clone(), Recommendations::new(&metrics));
    let limits = Limits::new(config.request_timeout, config.max_in_flight as usize);
    let mut app = routes::router()
        .with_state(shop)
        .route_layer(from_fn_with_state(injector, faults::inject))
        .layer(from_fn_with_state(limits, routes::limits::enforce));
    if telemetry.traces() {
        app = app.layer(axum::middleware::from_fn(telemetry::trace_request));
    }
    // (7) Find statements that one request repeats. (8) Measure requests. The last layer is the outermost: it sees what all others answer, and the pages that are not there.
    let app = app.layer(metrics.n_plus_one_layer()).layer(metrics.http_layer());

    // (9) Serve /metrics, health and profiles on a listener of their own. A service that has nothing to add says
    // `metrics.serve_admin()`; this one is ready while its database is, and has its fault switches there.
    let checked = db.clone();
    let check = move || {
        let db = checked.clone();
        async move { db.ping().await }
    };
    let admin = metrics
        .admin()
        .listen(config.admin_listen)
        .check("database", check)
        .routes(faults::router(switches.clone()))
        .link("/faults", "what can be made to go wrong")
        .serve();

    announce(listener.local_addr()?, config, admin.local_addr());
    let ended = serve(listener, app, &mut stop, &admin).await;

    switches.clear_all();
    workers.stop().await;
    // (10) Let the last numbers out: whoever scrapes or is pushed to gets them, within a second.
    metrics.shutdown().await;
    admin.shutdown().await;
    db.close().await;
    telemetry.shutdown().await;
    if let Some(folder) = folder {
        folder.remove().map_err(|error| format!("the temporary database could not be removed: {error}"))?;
    }
    Ok(ended?)
}

/// Says on stdout where to look. Nobody may be reading, which is no reason to fail.
fn announce(public: SocketAddr, config: &Config, admin: Option<SocketAddr>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "shop: http://{public}");
    let _ = match admin {
        Some(address) => writeln!(out, "metrics: http://{address}/metrics   faults: http://{address}/faults"),
        None => writeln!(
            out,
            "--admin-listen {}: taken by another program; there are no metrics and no fault switches until it is free; \
             choose another with --admin-listen HOST:PORT or SHOP_ADMIN_LISTEN",
            config.admin_listen
        ),
    };
}

/// Serves until the signal, and then what is under way, within a bound.
async fn serve(
    listener: TcpListener,
    app: Router,
    stop: &mut shutdown::Signal,
    admin: &AdminListener,
) -> std::io::Result<()> {
    let (begin_end, end_begun) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = end_begun.await;
    });
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return ended,
        () = stop.wait() => {}
    }
    tracing::info!("the shop closes");
    // Whoever sends customers here is told so first.
    admin.drain();
    drop(begin_end);
    match tokio::time::timeout(LAST_REQUESTS, server).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!("requests that did not end in time were cut off");
            Ok(())
        }
    }
}
