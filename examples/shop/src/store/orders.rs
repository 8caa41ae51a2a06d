//! Orders, from checkout to the customer's notification. Each step is one transaction, and doing it twice does it once.

use super::products::Availability;
use super::{Database, carts, now_ms, run};
use serde::Serialize;
use std::time::Duration;

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

/// What waits for the workers.
pub(crate) struct Backlog {
    pub(crate) orders: usize,
    pub(crate) oldest: Duration,
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
    carts::lock(&mut write, user_id).await?;
    // In the order of their ids, as everybody who takes several products does: so no two wait for each other.
    let shelves = "SELECT p.id FROM products p JOIN cart_items c ON c.product_id = p.id WHERE c.user_id = $1
         ORDER BY p.id FOR NO KEY UPDATE OF p";
    write.lock(shelves, user_id).await?;
    let wanted = "SELECT c.product_id, c.quantity, p.price_cents, p.stock
         FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = $1 ORDER BY c.product_id";
    let wanted: Vec<Wanted> = run!(write, |db| sqlx::query_as(wanted).bind(user_id).fetch_all(db).await)?;
    if wanted.is_empty() {
        return Ok(Checkout::EmptyCart);
    }
    if let Some(line) = wanted.iter().find(|line| line.stock < line.quantity) {
        return Ok(Checkout::OutOfStock { product_id: line.product_id, wanted: line.quantity, left: line.stock });
    }

    let taken = "UPDATE products SET stock = stock - c.quantity FROM cart_items c
         WHERE c.user_id = $1 AND products.id = c.product_id";
    run!(write, |db| sqlx::query(taken).bind(user_id).execute(db).await.map(drop))?;
    let total_cents: i64 = wanted.iter().map(|line| line.quantity * line.price_cents).sum();
    let now = now_ms();
    let order = "INSERT INTO orders (user_id, status, total_cents, created_at, updated_at)
         VALUES ($1, 'pending', $2, $3, $3) RETURNING id";
    let order_id: i64 =
        run!(write, |db| sqlx::query_scalar(order).bind(user_id).bind(total_cents).bind(now).fetch_one(db).await)?;
    let items = "INSERT INTO order_items (order_id, product_id, quantity, unit_price_cents)
         SELECT $1, c.product_id, c.quantity, p.price_cents
         FROM cart_items c JOIN products p ON p.id = c.product_id WHERE c.user_id = $2";
    run!(write, |db| sqlx::query(items).bind(order_id).bind(user_id).execute(db).await.map(drop))?;
    let emptied = "DELETE FROM cart_items WHERE user_id = $1";
    run!(write, |db| sqlx::query(emptied).bind(user_id).execute(db).await.map(drop))?;
    write.commit().await?;

    let changed = |line: &&Wanted| Availability::from(line.stock) != Availability::from(line.stock - line.quantity);
    let availability_changed = wanted.iter().filter(changed).map(|line| line.product_id).collect();
    Ok(Checkout::Placed { order_id, availability_changed })
}

/// The user's own order.
pub(crate) async fn find(db: &Database, user_id: i64, order_id: i64) -> sqlx::Result<Option<Order>> {
    let mut read = db.read().await?;
    let order = "SELECT status, total_cents, created_at, updated_at FROM orders WHERE id = $1 AND user_id = $2";
    let row: Option<(String, i64, i64, i64)> =
        run!(read, |db| sqlx::query_as(order).bind(order_id).bind(user_id).fetch_optional(db).await)?;
    let Some((status, total_cents, created_at, updated_at)) = row else { return Ok(None) };
    let items =
        "SELECT product_id, quantity, unit_price_cents FROM order_items WHERE order_id = $1 ORDER BY product_id";
    let items = run!(read, |db| sqlx::query_as(items).bind(order_id).fetch_all(db).await)?;
    let (created_at, updated_at) = (rfc3339(created_at), rfc3339(updated_at));
    Ok(Some(Order { id: order_id, status, total_cents, created_at, updated_at, items }))
}

/// Orders with work left that nobody has touched since `before_ms`, in the order of their ids, above `after`.
pub(crate) async fn unfinished(db: &Database, before_ms: i64, after: i64, limit: i64) -> sqlx::Result<Vec<i64>> {
    let mut read = db.read().await?;
    let orders = "SELECT id FROM orders WHERE status IN ('pending', 'paid') AND updated_at < $1 AND id > $2
         ORDER BY id LIMIT $3";
    run!(read, |db| sqlx::query_scalar(orders).bind(before_ms).bind(after).bind(limit).fetch_all(db).await)
}

/// How many orders have work left, and how long ago the first of them was placed.
pub(crate) async fn backlog(db: &Database) -> sqlx::Result<Backlog> {
    let mut read = db.read().await?;
    let backlog = "SELECT count(*), min(created_at) FROM orders WHERE status IN ('pending', 'paid')";
    let (orders, oldest): (i64, Option<i64>) = run!(read, |db| sqlx::query_as(backlog).fetch_one(db).await)?;
    let age = oldest.map_or(0, |placed| now_ms().saturating_sub(placed));
    Ok(Backlog {
        orders: usize::try_from(orders).unwrap_or_default(),
        oldest: Duration::from_millis(u64::try_from(age).unwrap_or_default()),
    })
}

/// What is left to do for an order; `None` when nothing is.
pub(crate) async fn work(db: &Database, order_id: i64) -> sqlx::Result<Option<Work>> {
    let mut read = db.read().await?;
    let work =
        "SELECT id, total_cents, status = 'paid' AS paid FROM orders WHERE id = $1 AND status IN ('pending', 'paid')";
    run!(read, |db| sqlx::query_as(work).bind(order_id).fetch_optional(db).await)
}

pub(crate) async fn mark_paid(db: &Database, order_id: i64) -> sqlx::Result<()> {
    let now = now_ms();
    let mut write = db.write().await?;
    let paid = "UPDATE orders SET status = 'paid', updated_at = $1 WHERE id = $2 AND status = 'pending'";
    run!(write, |db| sqlx::query(paid).bind(now).bind(order_id).execute(db).await.map(drop))?;
    write.commit().await
}

/// Notes that the customer has been told, once: the note and the status stand or fall together.
pub(crate) async fn mark_notified(db: &Database, order_id: i64, message: &str) -> sqlx::Result<()> {
    let now = now_ms();
    let mut write = db.write().await?;
    let note = "INSERT INTO notifications (order_id, message, sent_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    run!(write, |db| sqlx::query(note).bind(order_id).bind(message).bind(now).execute(db).await.map(drop))?;
    let notified = "UPDATE orders SET status = 'notified', updated_at = $1 WHERE id = $2 AND status = 'paid'";
    run!(write, |db| sqlx::query(notified).bind(now).bind(order_id).execute(db).await.map(drop))?;
    write.commit().await
}

/// Gives an unpaid order up, puts its products back on the shelf, and returns whose availability may have changed.
pub(crate) async fn mark_failed(db: &Database, order_id: i64) -> sqlx::Result<Vec<i64>> {
    let now = now_ms();
    let mut write = db.write().await?;
    let failed =
        "UPDATE orders SET status = 'failed', updated_at = $1 WHERE id = $2 AND status = 'pending' RETURNING id";
    let failed: Option<i64> =
        run!(write, |db| sqlx::query_scalar(failed).bind(now).bind(order_id).fetch_optional(db).await)?;
    if failed.is_none() {
        return Ok(Vec::new());
    }
    let shelves = "SELECT p.id FROM products p JOIN order_items i ON i.product_id = p.id WHERE i.order_id = $1
         ORDER BY p.id FOR NO KEY UPDATE OF p";
    write.lock(shelves, order_id).await?;
    let returned = "UPDATE products SET stock = stock + i.quantity FROM order_items i
         WHERE i.order_id = $1 AND products.id = i.product_id RETURNING products.id";
    let returned = run!(write, |db| sqlx::query_scalar(returned).bind(order_id).fetch_all(db).await)?;
    write.commit().await?;
    Ok(returned)
}

fn rfc3339(ms: i64) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since_epoch).to_string()
}
