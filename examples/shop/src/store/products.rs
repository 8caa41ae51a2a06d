//! Products: pages of the list, search, one in detail, and what is bought together with a category.

use super::{Database, Write};
use serde::Serialize;

/// Fewer than this left, and the customer is told so.
const FEW: i64 = 10;

/// A product as lists show it.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub(crate) struct Listed {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) category: String,
    pub(crate) price_cents: i64,
    #[sqlx(try_from = "i64")]
    pub(crate) availability: Availability,
}

/// A product as its own page shows it.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub(crate) struct Detail {
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub(crate) listed: Listed,
    pub(crate) description: String,
    #[serde(skip)]
    pub(crate) category_id: i64,
}

/// A product that customers buy together with others.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub(crate) struct Companion {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) price_cents: i64,
}

/// What customers are told of the stock. The exact number stays inside, so that a page is good until this changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Availability {
    InStock,
    Few,
    SoldOut,
}

impl From<i64> for Availability {
    fn from(stock: i64) -> Self {
        match stock {
            ..=0 => Self::SoldOut,
            1..FEW => Self::Few,
            _ => Self::InStock,
        }
    }
}

/// Up to `limit` products with ids above `after`, in the order of their ids: the order never changes, so that a cursor
/// finds each product exactly once.
pub(crate) async fn page(db: &Database, category: Option<&str>, after: i64, limit: u32) -> sqlx::Result<Vec<Listed>> {
    let mut read = db.read().await?;
    // Two statements, because SQLite picks its index once per statement and not per value of a parameter.
    let query = match category {
        None => sqlx::query_as(
            "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability
             FROM products p JOIN categories c ON c.id = p.category_id
             WHERE p.id > ?1 ORDER BY p.id LIMIT ?2",
        ),
        Some(_) => sqlx::query_as(
            "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability
             FROM products p JOIN categories c ON c.id = p.category_id
             WHERE c.name = ?3 AND p.id > ?1 ORDER BY p.id LIMIT ?2",
        ),
    };
    let query = query.bind(after).bind(limit);
    match category {
        None => query.fetch_all(read.run()).await,
        Some(name) => query.bind(name).fetch_all(read.run()).await,
    }
}

/// The best matches for all of the words, the last of which may be the beginning of one.
pub(crate) async fn search(db: &Database, words: &[&str], limit: u32) -> sqlx::Result<Vec<Listed>> {
    let mut read = db.read().await?;
    sqlx::query_as(
        // A word in the name weighs ten times one in the description.
        "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability
         FROM product_search
         JOIN products p ON p.id = product_search.rowid
         JOIN categories c ON c.id = p.category_id
         WHERE product_search MATCH ?1
         ORDER BY bm25(product_search, 10.0, 1.0), p.id LIMIT ?2",
    )
    .bind(match_expression(words))
    .bind(limit)
    .fetch_all(read.run())
    .await
}

pub(crate) async fn detail(db: &Database, id: i64) -> sqlx::Result<Option<Detail>> {
    let mut read = db.read().await?;
    sqlx::query_as(
        "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability, p.description, p.category_id
         FROM products p JOIN categories c ON c.id = p.category_id WHERE p.id = ?",
    )
    .bind(id)
    .fetch_optional(read.run())
    .await
}

/// What customers put into the same order with products of this category, most often bought first.
///
/// It walks every order that holds such a product, which takes tens of thousands of steps; that is why its results are
/// cached.
pub(crate) async fn bought_together(db: &Database, category_id: i64, limit: u32) -> sqlx::Result<Vec<Companion>> {
    let mut read = db.read().await?;
    sqlx::query_as(
        "SELECT companion.id, companion.name, companion.price_cents
         FROM order_items mine
         JOIN products ours ON ours.id = mine.product_id
         JOIN order_items theirs ON theirs.order_id = mine.order_id AND theirs.product_id <> mine.product_id
         JOIN products companion ON companion.id = theirs.product_id
         WHERE ours.category_id = ?1
         GROUP BY companion.id ORDER BY count(*) DESC, companion.id LIMIT ?2",
    )
    .bind(category_id)
    .bind(limit)
    .fetch_all(read.run())
    .await
}

/// Fills the shelves of what has run low, and returns whose availability that changed.
pub(crate) async fn restock(write: &mut Write<'_>) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar("UPDATE products SET stock = restock_to WHERE stock < ? AND stock < restock_to RETURNING id")
        .bind(FEW)
        .fetch_all(write.run())
        .await
}

/// Quoting makes every word a plain word: no operator of the query language gets through.
fn match_expression(words: &[&str]) -> String {
    let mut expression = String::new();
    for word in words {
        expression.push('"');
        expression.push_str(&word.replace('"', "\"\""));
        expression.push_str("\" ");
    }
    expression.truncate(expression.trim_end().len());
    expression.push('*');
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_the_last_is_a_prefix() {
        assert_eq!(match_expression(&["oak", "tab"]), r#""oak" "tab"*"#);
        assert_eq!(match_expression(&["a\"OR", "NEAR"]), r#""a""OR" "NEAR"*"#);
    }

    #[test]
    fn stock_becomes_what_customers_are_told() {
        assert_eq!(Availability::from(0), Availability::SoldOut);
        assert_eq!(Availability::from(1), Availability::Few);
        assert_eq!(Availability::from(FEW), Availability::InStock);
    }
}
