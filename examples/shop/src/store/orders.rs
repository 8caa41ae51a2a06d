//! Orders, from checkout to the customer's notification. Each step is one transaction, and doing it twice does it once.

use super::products::Availability;
use super::{Database, now_ms};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) status: String,
    pub(crate) total_cents: i64,
    /// RFC 3339.
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug, Serialize, sqlx::FromRow)]
pub(crate) struct Item {
    pub(crate) product_id: i64,
    pub(crate) quantity: i64,
    pub(crate) unit_price_cents: i64,
}

/// What became of a checkout.
pub(crate) enum Checkout {
    Placed { order_id: i64, availability_changed: Vec<i64> },
    EmptyCart,
    OutOfStock { product_id: i64, wanted: i64, left: i64 },
}

/// An order as the workers see it.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct Work {
    pub(crate) id: i64,
    pub(crate) total_cents: i64,
    pub(crate) paid: bool,
}

#[derive(sqlx::FromRow)]
struct Wanted {
    product_id: i64,
    quantity: i64,
    price_cents: i64,
    stock: i64,
}

/// Makes an order of the user's cart, taking its products from the shelf; all of it or nothing.
pub(crate) async fn checkout(db: &Database, user_id: i64) -> sqlx::Result<Checkout> {
    let mut write = db.write().await?;
    let wanted: Vec<Wanted> = sqlx::query_as(
        "SELECT c.product_id, c.quantity, p.price_cents, p.stock
         FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = ? ORDER BY c.product_id",
    )
    .bind(user_id)
    .fetch_all(write.run())
    .await?;
    if wanted.is_empty() {
        return Ok(Checkout::EmptyCart);
    }
    if let Some(line) = wanted.iter().find(|line| line.stock < line.quantity) {
        return Ok(Checkout::OutOfStock { product_id: line.product_id, wanted: line.quantity, left: line.stock });
    }

    sqlx::query(
        "UPDATE products SET stock = stock - c.quantity FROM cart_items c
         WHERE c.user_id = ? AND products.id = c.product_id",
    )
    .bind(user_id)
    .execute(write.run())
    .await?;
    let total_cents: i64 = wanted.iter().map(|line| line.quantity * line.price_cents).sum();
    let now = now_ms();
    let order_id: i64 = sqlx::query_scalar(
        "INSERT INTO orders (user_id, status, total_cents, created_at, updated_at) VALUES (?1, 'pending', ?2, ?3, ?3) RETURNING id",
    )
    .bind(user_id)
    .bind(total_cents)
    .bind(now)
    .fetch_one(write.run())
    .await?;
    sqlx::query(
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price_cents)
         SELECT ?1, c.product_id, c.quantity, p.price_cents
         FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = ?2",
    )
    .bind(order_id)
    .bind(user_id)
    .execute(write.run())
    .await?;
    sqlx::query("DELETE FROM cart_items WHERE user_id = ?").bind(user_id).execute(write.run()).await?;
    write.commit().await?;

    let changed = |line: &&Wanted| Availability::from(line.stock) != Availability::from(line.stock - line.quantity);
    let availability_changed = wanted.iter().filter(changed).map(|line| line.product_id).collect();
    Ok(Checkout::Placed { order_id, availability_changed })
}

/// The user's own order.
pub(crate) async fn find(db: &Database, user_id: i64, order_id: i64) -> sqlx::Result<Option<Order>> {
    let mut read = db.read().await?;
    let row: Option<(String, i64, i64, i64)> =
        sqlx::query_as("SELECT status, total_cents, created_at, updated_at FROM orders WHERE id = ? AND user_id = ?")
            .bind(order_id)
            .bind(user_id)
            .fetch_optional(read.run())
            .await?;
    let Some((status, total_cents, created_at, updated_at)) = row else { return Ok(None) };
    let items = sqlx::query_as(
        "SELECT product_id, quantity, unit_price_cents FROM order_items WHERE order_id = ? ORDER BY product_id",
    )
    .bind(order_id)
    .fetch_all(read.run())
    .await?;
    let (created_at, updated_at) = (rfc3339(created_at), rfc3339(updated_at));
    Ok(Some(Order { id: order_id, status, total_cents, created_at, updated_at, items }))
}

/// Orders with work left that nobody has touched since `before_ms`, in the order of their ids, above `after`.
pub(crate) async fn unfinished(db: &Database, before_ms: i64, after: i64, limit: u32) -> sqlx::Result<Vec<i64>> {
    let mut read = db.read().await?;
    sqlx::query_scalar(
        "SELECT id FROM orders WHERE status IN ('pending', 'paid') AND updated_at < ? AND id > ? ORDER BY id LIMIT ?",
    )
    .bind(before_ms)
    .bind(after)
    .bind(limit)
    .fetch_all(read.run())
    .await
}

/// What is left to do for an order; `None` when nothing is.
pub(crate) async fn work(db: &Database, order_id: i64) -> sqlx::Result<Option<Work>> {
    let mut read = db.read().await?;
    sqlx::query_as(
        "SELECT id, total_cents, status = 'paid' AS paid FROM orders WHERE id = ? AND status IN ('pending', 'paid')",
    )
    .bind(order_id)
    .fetch_optional(read.run())
    .await
}

pub(crate) async fn mark_paid(db: &Database, order_id: i64) -> sqlx::Result<()> {
    let mut write = db.write().await?;
    sqlx::query("UPDATE orders SET status = 'paid', updated_at = ? WHERE id = ? AND status = 'pending'")
        .bind(now_ms())
        .bind(order_id)
        .execute(write.run())
        .await?;
    write.commit().await
}

/// Notes that the customer has been told, once: the note and the status stand or fall together.
pub(crate) async fn mark_notified(db: &Database, order_id: i64, message: &str) -> sqlx::Result<()> {
    let now = now_ms();
    let mut write = db.write().await?;
    sqlx::query("INSERT INTO notifications (order_id, message, sent_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(order_id)
        .bind(message)
        .bind(now)
        .execute(write.run())
        .await?;
    sqlx::query("UPDATE orders SET status = 'notified', updated_at = ? WHERE id = ? AND status = 'paid'")
        .bind(now)
        .bind(order_id)
        .execute(write.run())
        .await?;
    write.commit().await
}

/// Gives an unpaid order up, puts its products back on the shelf, and returns whose availability may have changed.
pub(crate) async fn mark_failed(db: &Database, order_id: i64) -> sqlx::Result<Vec<i64>> {
    let mut write = db.write().await?;
    let done = sqlx::query("UPDATE orders SET status = 'failed', updated_at = ? WHERE id = ? AND status = 'pending'")
        .bind(now_ms())
        .bind(order_id)
        .execute(write.run())
        .await?;
    if done.rows_affected() == 0 {
        return Ok(Vec::new());
    }
    let returned = sqlx::query_scalar(
        "UPDATE products SET stock = stock + i.quantity FROM order_items i
         WHERE i.order_id = ? AND products.id = i.product_id RETURNING products.id",
    )
    .bind(order_id)
    .fetch_all(write.run())
    .await?;
    write.commit().await?;
    Ok(returned)
}

fn rfc3339(ms: i64) -> String {
    let since_epoch = std::time::Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since_epoch).to_string()
}
