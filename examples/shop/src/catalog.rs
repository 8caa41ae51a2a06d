//! The goods as customers look at them: hot reads come from two caches, everything else from the database.
//!
//! Each cache is in memory, and with `--redis` in Redis too, where all shops on the same database share it.

use crate::config::Config;
use crate::error::ApiError;
use crate::store::Database;
use crate::store::products::{self, Companion, Detail};
use outrigger::Metrics;
use outrigger::cache::{ReadThrough, ReadThroughBuilder, read_through::ReadError};
use outrigger::redis::TimedRedis;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// Products kept in memory; about a kilobyte each.
const MAX_DETAILS: u64 = 20_000;
/// A price or a description that is changed by hand shows after this at the latest.
const DETAIL_LIFETIME: Duration = Duration::from_secs(600);
const MAX_COMPANIONS: u64 = 1_000;
/// What is bought together changes with the season, not with the minute.
const COMPANIONS_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How many products are shown beside one.
const COMPANIONS_SHOWN: usize = 8;

/// A cheap handle on the goods.
#[derive(Clone)]
pub(crate) struct Catalog {
    /// By product. What does not exist is remembered too: clients ask for it again as they do for the rest.
    details: ReadThrough<i64, Arc<Detail>, sqlx::Error>,
    /// By category.
    companions: ReadThrough<i64, Arc<[Companion]>, sqlx::Error>,
}

/// What `GET /products/{id}` answers.
#[derive(Serialize)]
pub(crate) struct ProductPage {
    #[serde(flatten)]
    detail: Arc<Detail>,
    bought_together: Vec<Companion>,
}

impl Catalog {
    pub(crate) fn new(db: &Database, redis: Option<TimedRedis<ConnectionManager>>, metrics: &Metrics) -> Self {
        let mut details = ReadThroughBuilder::new("product_details")
            .capacity(MAX_DETAILS)
            .ttl(DETAIL_LIFETIME)
            .negative_ttl(DETAIL_LIFETIME);
        let mut companions =
            ReadThroughBuilder::new("bought_together").capacity(MAX_COMPANIONS).ttl(COMPANIONS_LIFETIME);
        if let Some(redis) = redis {
            details = details.redis(redis.clone(), (json, of_json));
            companions = companions.redis(redis, (json, of_json));
        }
        let of_details = db.clone();
        let details = details.build(metrics, move |id| {
            let db = of_details.clone();
            async move { Ok(products::detail(&db, id).await?.map(Arc::new)) }
        });
        let of_companions = db.clone();
        let companions = companions.build(metrics, move |category_id| {
            let db = of_companions.clone();
            // One more than shown, since a product is no companion of itself.
            let limit = COMPANIONS_SHOWN as u32 + 1;
            async move { Ok(Some(products::bought_together(&db, category_id, limit).await?.into())) }
        });
        Self { details, companions }
    }

    /// A product's page, if there is such a product.
    pub(crate) async fn page(&self, id: i64) -> Result<Option<ProductPage>, ReadError<sqlx::Error>> {
        let Some(detail) = self.details.get(&id).await? else { return Ok(None) };
        let companions = self.companions.get(&detail.category_id).await?.unwrap_or_default();
        let others = companions.iter().filter(|companion| companion.id != id);
        let bought_together = others.take(COMPANIONS_SHOWN).cloned().collect();
        Ok(Some(ProductPage { detail, bought_together }))
    }

    /// Forgets products whose availability has changed.
    pub(crate) async fn forget_products(&self, ids: &[i64]) {
        for id in ids {
            self.details.invalidate(id).await;
        }
    }

    /// Forgets all that a product's page is made of.
    pub(crate) async fn forget_page(&self, id: i64) -> Result<(), ReadError<sqlx::Error>> {
        if let Some(detail) = self.details.get(&id).await? {
            self.companions.invalidate(&detail.category_id).await;
        }
        self.details.invalidate(&id).await;
        Ok(())
    }
}

/// The way to Redis, if one was asked for. It need not be there now, nor stay: without it the caches are in memory only.
pub(crate) fn redis(config: &Config, metrics: &Metrics) -> Result<Option<TimedRedis<ConnectionManager>>, String> {
    let Some(url) = &config.redis else { return Ok(None) };
    let wrong = |error| format!("--redis: {error}; give redis://HOST:6379 or redis://:PASSWORD@HOST:6379");
    let client = redis::Client::open(url.as_str()).map_err(wrong)?;
    let connection = ConnectionManager::new_lazy_with_config(client, ConnectionManagerConfig::new()).map_err(wrong)?;
    Ok(Some(metrics.timed_redis(connection)))
}

/// How values are kept in Redis. What is no JSON of ours any more is loaded again.
fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn of_json<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// Those who waited for the same load share its error.
impl From<ReadError<sqlx::Error>> for ApiError {
    fn from(error: ReadError<sqlx::Error>) -> Self {
        match error {
            ReadError::Load(error) => Self::from(error.as_ref()),
            ReadError::TimedOut | ReadError::Overloaded => {
                Self::unavailable("database_busy", "the database is too slow")
            }
            error => Self::internal(error),
        }
    }
}
