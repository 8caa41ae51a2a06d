//! What each user is about to buy.

use super::Database;
use super::products::Availability;
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
    let items: Vec<Line> = sqlx::query_as(
        "SELECT c.product_id, p.name, c.quantity, p.price_cents AS unit_price_cents, p.stock AS availability
         FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = ? ORDER BY c.product_id",
    )
    .bind(user_id)
    .fetch_all(read.run())
    .await?;
    let total_cents = items.iter().map(|line| line.quantity * line.unit_price_cents).sum();
    Ok(Cart { items, total_cents })
}

/// Puts more of a product into the cart.
pub(crate) async fn add(db: &Database, user_id: i64, product_id: i64, quantity: i64) -> sqlx::Result<Added> {
    let mut write = db.write().await?;
    let stock: Option<i64> = sqlx::query_scalar("SELECT stock FROM products WHERE id = ?")
        .bind(product_id)
        .fetch_optional(write.run())
        .await?;
    match stock {
        None => return Ok(Added::NoSuchProduct),
        Some(0) => return Ok(Added::SoldOut),
        Some(_) => {}
    }
    let (others, here): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE product_id <> ?2), coalesce(sum(quantity) FILTER (WHERE product_id = ?2), 0)
         FROM cart_items WHERE user_id = ?1",
    )
    .bind(user_id)
    .bind(product_id)
    .fetch_one(write.run())
    .await?;
    if others >= MAX_LINES {
        return Ok(Added::CartFull);
    }
    if here + quantity > MAX_QUANTITY {
        return Ok(Added::TooMany);
    }
    sqlx::query(
        "INSERT INTO cart_items (user_id, product_id, quantity) VALUES (?, ?, ?)
         ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = quantity + excluded.quantity",
    )
    .bind(user_id)
    .bind(product_id)
    .bind(quantity)
    .execute(write.run())
    .await?;
    write.commit().await?;
    Ok(Added::Done)
}

/// Takes a product out of the cart. `false` if it was not in it.
pub(crate) async fn remove(db: &Database, user_id: i64, product_id: i64) -> sqlx::Result<bool> {
    let mut write = db.write().await?;
    let done = sqlx::query("DELETE FROM cart_items WHERE user_id = ? AND product_id = ?")
        .bind(user_id)
        .bind(product_id)
        .execute(write.run())
        .await?;
    write.commit().await?;
    Ok(done.rows_affected() > 0)
}
