//! Statements as nobody should write them: what the faults run, for those who look out for such.

use super::products::Listed;
use super::{Database, Either, run};
use std::time::Duration;

/// What SQLite counts up to in a millisecond, on a machine of our days.
const SQLITE_STEPS_PER_MS: i64 = 4_000;

/// The products of a list, each by a statement of its own: N+1. One for all of them is `WHERE id IN (...)`, or a join.
pub(crate) async fn one_by_one(db: &Database, list: Vec<Listed>) -> sqlx::Result<Vec<Listed>> {
    let mut read = db.read().await?;
    let product = "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability
         FROM products p JOIN categories c ON c.id = p.category_id WHERE p.id = $1";
    let mut found = Vec::with_capacity(list.len());
    for Listed { id, .. } in list {
        found.extend(run!(read, |db| sqlx::query_as(product).bind(id).fetch_optional(db).await)?);
    }
    Ok(found)
}

/// Walks through everything that was ever sold, since no index is on `unit_price_cents`.
pub(crate) async fn unindexed(db: &Database) -> sqlx::Result<()> {
    let mut read = db.read().await?;
    // One of those that the seed gives.
    let price = fastrand::i64(2..=300) * 100 - 1;
    let sales = "SELECT order_id, product_id, quantity FROM order_items WHERE unit_price_cents = $1";
    run!(read, |db| sqlx::query(sales).bind(price).fetch_all(db).await.map(drop))
}

/// Takes its time.
pub(crate) async fn slow(db: &Database, time: Duration) -> sqlx::Result<()> {
    let mut read = db.read().await?;
    match read.connection() {
        Either::Postgres(connection) => {
            let sleep = sqlx::query("SELECT pg_sleep($1)").bind(time.as_secs_f64());
            sleep.execute(connection).await?;
        }
        Either::Sqlite(connection) => {
            let steps = i64::try_from(time.as_millis()).unwrap_or(i64::MAX).saturating_mul(SQLITE_STEPS_PER_MS);
            let count = "WITH RECURSIVE steps (step) AS (SELECT 1 UNION ALL SELECT step + 1 FROM steps WHERE step < $1)
                 SELECT count(*) FROM steps";
            sqlx::query(count).bind(steps).execute(connection).await?;
        }
    }
    Ok(())
}
