//! The goods as customers look at them: hot reads come from two caches, everything else from the database.

use crate::store::Database;
use crate::store::products::{self, Companion, Detail};
use moka::future::Cache;
use outrigger::Metrics;
use outrigger::cache::MokaCache;
use serde::Serialize;
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
    db: Database,
    /// By product. What does not exist is remembered too: clients ask for it again as they do for the rest.
    details: MokaCache<i64, Option<Arc<Detail>>>,
    /// By category.
    companions: MokaCache<i64, Arc<[Companion]>>,
}

/// What `GET /products/{id}` answers.
#[derive(Serialize)]
pub(crate) struct ProductPage {
    #[serde(flatten)]
    detail: Arc<Detail>,
    bought_together: Vec<Companion>,
}

impl Catalog {
    pub(crate) fn new(db: Database, metrics: &Metrics) -> Self {
        let details = Cache::builder().max_capacity(MAX_DETAILS).time_to_live(DETAIL_LIFETIME).build();
        let companions = Cache::builder().max_capacity(MAX_COMPANIONS).time_to_live(COMPANIONS_LIFETIME).build();
        Self {
            db,
            details: MokaCache::new(metrics, "product_details", details),
            companions: MokaCache::new(metrics, "bought_together", companions),
        }
    }

    /// A product's page, if there is such a product.
    pub(crate) async fn page(&self, id: i64) -> Result<Option<ProductPage>, Arc<sqlx::Error>> {
        let load = async { Ok::<_, sqlx::Error>(products::detail(&self.db, id).await?.map(Arc::new)) };
        let Some(detail) = self.details.try_get_with(id, load).await? else { return Ok(None) };
        let companions = self.companions(detail.category_id).await?;
        let others = companions.iter().filter(|companion| companion.id != id);
        let bought_together = others.take(COMPANIONS_SHOWN).cloned().collect();
        Ok(Some(ProductPage { detail, bought_together }))
    }

    /// Forgets products whose availability has changed. A page that was being loaded meanwhile may show the old one for
    /// the rest of its lifetime; the checkout looks at the shelf itself.
    pub(crate) async fn forget_products(&self, ids: &[i64]) {
        for id in ids {
            self.details.invalidate(id).await;
        }
    }

    /// Forgets all that a product's page is made of.
    pub(crate) async fn forget_page(&self, id: i64) -> sqlx::Result<()> {
        let detail = match self.details.inner().get(&id).await {
            Some(cached) => cached,
            None => products::detail(&self.db, id).await?.map(Arc::new),
        };
        if let Some(detail) = detail {
            self.companions.invalidate(&detail.category_id).await;
        }
        self.details.invalidate(&id).await;
        Ok(())
    }

    async fn companions(&self, category_id: i64) -> Result<Arc<[Companion]>, Arc<sqlx::Error>> {
        // One more than shown, since a product is no companion of itself.
        let limit = COMPANIONS_SHOWN as u32 + 1;
        let load = async { products::bought_together(&self.db, category_id, limit).await.map(Arc::from) };
        self.companions.try_get_with(category_id, load).await
    }
}
