//! What each user is about to buy.

use super::products::Availability;
use super::{Database, Write, run};
use serde::Serialize;

/// Different products that a cart holds.
pub(crate) const MAX_LINES: i64 = 50;
/// Pieces of one product that a cart holds.
pub(crate) const MAX_QUANTITY: i64 = 20;

#[derive(Debug, Serialize)]
pub(crate) struct Cart {
    pub(crate) items: Vec<Line>,
    pub(crate) total_cents: i64,
}

#[derive(Debug, Serialize, sqlx::FromRow)]
pub(crate) struct Line {
    pub(crate) product_id: i64,
    pub(crate) name: String,
    pub(crate) quantity: i64,
    pub(crate) unit_price_cents: i64,
    #[sqlx(try_from = "i64")]
    pub(crate) availability: Availability,
}

/// What became of an addition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    Done,
    NoSuchProduct,
    SoldOut,
    CartFull,
    TooMany,
}

pub(crate) async fn contents(db: &Database, user_id: i64) -> sqlx::Result<Cart> {
    let mut read = db.read().await?;
    let lines = "SELECT c.product_id, p.name, c.quantity, p.price_cents AS unit_price_cents, p.stock AS availability
         FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = $1 ORDER BY c.product_id";
    let items: Vec<Line> = run!(read, |db| sqlx::query_as(lines).bind(user_id).fetch_all(db).await)?;
    let total_cents = items.iter().map(|line| line.quantity * line.unit_price_cents).sum();
    Ok(Cart { items, total_cents })
}

/// Puts more of a product into the cart.
pub(crate) async fn add(db: &Database, user_id: i64, product_id: i64, quantity: i64) -> sqlx::Result<Added> {
    let mut write = db.write().await?;
    lock(&mut write, user_id).await?;
    let stock = "SELECT stock FROM products WHERE id = $1";
    let stock: Option<i64> = run!(write, |db| sqlx::query_scalar(stock).bind(product_id).fetch_optional(db).await)?;
    match stock {
        None => return Ok(Added::NoSuchProduct),
        Some(0) => return Ok(Added::SoldOut),
        Some(_) => {}
    }
    let held = "SELECT count(*) FILTER (WHERE product_id <> $2),
             CAST(coalesce(sum(quantity) FILTER (WHERE product_id = $2), 0) AS BIGINT)
         FROM cart_items WHERE user_id = $1";
    let (others, here): (i64, i64) =
        run!(write, |db| sqlx::query_as(held).bind(user_id).bind(product_id).fetch_one(db).await)?;
    if others >= MAX_LINES {
        return Ok(Added::CartFull);
    }
    if here + quantity > MAX_QUANTITY {
        return Ok(Added::TooMany);
    }
    let addition = "INSERT INTO cart_items (user_id, product_id, quantity) VALUES ($1, $2, $3)
         ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = cart_items.quantity + excluded.quantity";
    run!(write, |db| sqlx::query(addition).bind(user_id).bind(product_id).bind(quantity).execute(db).await.map(drop))?;
    write.commit().await?;
    Ok(Added::Done)
}

/// Takes a product out of the cart. `false` if it was not in it.
pub(crate) async fn remove(db: &Database, user_id: i64, product_id: i64) -> sqlx::Result<bool> {
    let mut write = db.write().await?;
    lock(&mut write, user_id).await?;
    let removal = "DELETE FROM cart_items WHERE user_id = $1 AND product_id = $2 RETURNING product_id";
    let removed: Option<i64> =
        run!(write, |db| sqlx::query_scalar(removal).bind(user_id).bind(product_id).fetch_optional(db).await)?;
    write.commit().await?;
    Ok(removed.is_some())
}

/// Keeps others off the user's cart until the end of the transaction: it is counted, or ordered, and then changed.
pub(super) async fn lock(write: &mut Write<'_>, user_id: i64) -> sqlx::Result<()> {
    write.lock("SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE", user_id).await
}
