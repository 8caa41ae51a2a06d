//! What a fault does to a request, in one layer round the routes. While no fault is on it reads one flag, and asks the
//! service that the shop depends on, which then answers at once.

use super::kind::Kind;
use super::switches::{Active, Switches};
use crate::error::{ApiError, Result};
use crate::recommendations::Recommendations;
use crate::store::{Database, bad};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Tells a handler that what it wants from the cache is not there any more.
#[derive(Clone, Copy)]
pub(crate) struct CacheFlush;

/// Tells a handler to ask for each product of a list by a statement of its own.
#[derive(Clone, Copy)]
pub(crate) struct OneByOne;

/// What the layer needs.
#[derive(Clone)]
pub(crate) struct Injector {
    switches: Switches,
    db: Database,
    recommendations: Recommendations,
    /// One burner for each core and no more: the others wait, as work for a busy core does.
    cores: Arc<Semaphore>,
}

impl Injector {
    pub(crate) fn new(switches: Switches, db: Database, recommendations: Recommendations) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { switches, db, recommendations, cores: Arc::new(Semaphore::new(cores)) }
    }

    async fn suffer(&self, fault: &Active, request: &mut Request) -> Result<()> {
        match fault.kind {
            // It is asked once for each request, see below.
            Kind::SlowDependency => {}
            // Not logged: at a hundred a second it would drown everything else.
            Kind::Errors => {
                let message = "the fault `errors` is switched on";
                return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message));
            }
            Kind::PoolStarvation => {
                let _connection = self.db.read().await?;
                tokio::time::sleep(fault.strength()).await;
            }
            Kind::CacheFlush => {
                request.extensions_mut().insert(CacheFlush);
            }
            Kind::NPlusOne => {
                request.extensions_mut().insert(OneByOne);
            }
            Kind::MissingIndex => bad::unindexed(&self.db).await?,
            Kind::SlowQuery => bad::slow(&self.db, fault.strength()).await?,
            Kind::CpuBurn => {
                let core = self.cores.clone().acquire_owned().await.map_err(ApiError::internal)?;
                let strength = fault.strength();
                // The core goes with the work: a client that leaves does not make room for a second burner.
                let burn = move || {
                    let _core = core;
                    burn(strength);
                };
                tokio::task::spawn_blocking(burn).await.map_err(ApiError::internal)?;
            }
        }
        Ok(())
    }
}

/// Lets the request meet the faults that are on for its route.
pub(crate) async fn inject(
    State(injector): State<Injector>,
    route: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    let active = injector.switches.any_active();
    let hits = active.iter().flat_map(|active| active.iter()).filter(|fault| fault.hits(route.as_str()));
    let hits: Vec<&Active> = hits.collect();
    let slow = hits.iter().find(|fault| fault.kind == Kind::SlowDependency);
    injector.recommendations.ask(slow.map_or(Duration::ZERO, |fault| fault.strength())).await;
    for fault in hits {
        if let Err(error) = injector.suffer(fault, &mut request).await {
            return error.into_response();
        }
    }
    next.run(request).await
}

/// Computes until the time is up. A function of its own in a profile too.
#[inline(never)]
fn burn(time: Duration) {
    let begun = Instant::now();
    let mut hasher = DefaultHasher::new();
    while begun.elapsed() < time {
        for number in 0..1_000 {
            hasher.write_u64(number);
        }
        black_box(hasher.finish());
    }
}
