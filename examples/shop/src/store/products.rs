//! Products: pages of the list, search, one in detail, and what is bought together with a category.

use super::{Database, Either, run};
use serde::{Deserialize, Serialize};

/// Fewer than this left, and the customer is told so.
const FEW: i64 = 10;

/// A product as lists show it.
#[derive(Clone, Debug, Deserialize, Serialize, sqlx::FromRow)]
pub(crate) struct Listed {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) category: String,
    pub(crate) price_cents: i64,
    #[sqlx(try_from = "i64")]
    pub(crate) availability: Availability,
}

/// A product as its own page shows it.
#[derive(Clone, Debug, Deserialize, Serialize, sqlx::FromRow)]
pub(crate) struct Detail {
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub(crate) listed: Listed,
    pub(crate) description: String,
    pub(crate) category_id: i64,
}

/// A product that customers buy together with others.
#[derive(Clone, Debug, Deserialize, Serialize, sqlx::FromRow)]
pub(crate) struct Companion {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) price_cents: i64,
}

/// What customers are told of the stock. The exact number stays inside, so that a page is good until this changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
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
    let products = match category {
        None => {
            "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability
             FROM products p JOIN categories c ON c.id = p.category_id
             WHERE p.id > $1 ORDER BY p.id LIMIT $2"
        }
        Some(_) => {
            "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability
             FROM products p JOIN categories c ON c.id = p.category_id
             WHERE c.name = $3 AND p.id > $1 ORDER BY p.id LIMIT $2"
        }
    };
    run!(read, |db| {
        let query = sqlx::query_as(products).bind(after).bind(i64::from(limit));
        match category {
            None => query.fetch_all(db).await,
            Some(name) => query.bind(name).fetch_all(db).await,
        }
    })
}

/// The best matches for all of the words, the last of which may be the beginning of one.
pub(crate) async fn search(db: &Database, words: &[&str], limit: u32) -> sqlx::Result<Vec<Listed>> {
    let found = db.pick(
        // A word in the name weighs ten times one in the description.
        "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability
         FROM product_search
         JOIN products p ON p.id = product_search.rowid
         JOIN categories c ON c.id = p.category_id
         WHERE product_search MATCH $1
         ORDER BY bm25(product_search, 10.0, 1.0), p.id LIMIT $2",
        // And so it does by Postgres' own weights of the classes A and D.
        "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability
         FROM products p JOIN categories c ON c.id = p.category_id
         WHERE p.words @@ to_tsquery('english', $1)
         ORDER BY ts_rank(p.words, to_tsquery('english', $1)) DESC, p.id LIMIT $2",
    );
    let mut read = db.read().await?;
    let words = match read.connection() {
        Either::Sqlite(_) => fts5_words(words),
        Either::Postgres(_) => tsquery_words(words),
    };
    run!(read, |db| sqlx::query_as(found).bind(words).bind(i64::from(limit)).fetch_all(db).await)
}

pub(crate) async fn detail(db: &Database, id: i64) -> sqlx::Result<Option<Detail>> {
    let mut read = db.read().await?;
    let product =
        "SELECT p.id, p.name, c.name AS category, p.price_cents, p.stock AS availability, p.description, p.category_id
         FROM products p JOIN categories c ON c.id = p.category_id WHERE p.id = $1";
    run!(read, |db| sqlx::query_as(product).bind(id).fetch_optional(db).await)
}

/// What customers put into the same order with products of this category, most often bought first.
///
/// It walks every order that holds such a product, which takes tens of thousands of steps; that is why its results are
/// cached.
pub(crate) async fn bought_together(db: &Database, category_id: i64, limit: u32) -> sqlx::Result<Vec<Companion>> {
    let mut read = db.read().await?;
    let companions = "SELECT companion.id, companion.name, companion.price_cents
         FROM order_items mine
         JOIN products ours ON ours.id = mine.product_id
         JOIN order_items theirs ON theirs.order_id = mine.order_id AND theirs.product_id <> mine.product_id
         JOIN products companion ON companion.id = theirs.product_id
         WHERE ours.category_id = $1
         GROUP BY companion.id ORDER BY count(*) DESC, companion.id LIMIT $2";
    run!(read, |db| sqlx::query_as(companions).bind(category_id).bind(i64::from(limit)).fetch_all(db).await)
}

/// Fills the shelves of what has run low, and returns whose availability that changed.
pub(crate) async fn restock(db: &Database) -> sqlx::Result<Vec<i64>> {
    let mut write = db.write().await?;
    let low = "SELECT id FROM products WHERE stock < $1 AND stock < restock_to ORDER BY id FOR NO KEY UPDATE";
    write.lock(low, FEW).await?;
    let filled = "UPDATE products SET stock = restock_to WHERE stock < $1 AND stock < restock_to RETURNING id";
    let filled = run!(write, |db| sqlx::query_scalar(filled).bind(FEW).fetch_all(db).await)?;
    write.commit().await?;
    Ok(filled)
}

/// Quoting makes every word a plain word: no operator of the query language gets through.
fn fts5_words(words: &[&str]) -> String {
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

/// The same for Postgres.
fn tsquery_words(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', "''"))).collect();
    format!("{}:*", quoted.join(" & "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_and_the_last_is_a_prefix() {
        assert_eq!(fts5_words(&["oak", "tab"]), r#""oak" "tab"*"#);
        assert_eq!(fts5_words(&["a\"OR", "NEAR"]), r#""a""OR" "NEAR"*"#);
        assert_eq!(tsquery_words(&["oak", "tab"]), "'oak' & 'tab':*");
        assert_eq!(tsquery_words(&["a' | 'b"]), "'a'' | ''b':*");
    }

    #[test]
    fn stock_becomes_what_customers_are_told() {
        assert_eq!(Availability::from(0), Availability::SoldOut);
        assert_eq!(Availability::from(1), Availability::Few);
        assert_eq!(Availability::from(FEW), Availability::InStock);
    }
}
