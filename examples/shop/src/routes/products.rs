//! Looking at the goods: pages of the list, search, and each product's own page.

use super::Shop;
use super::input::{Id, Params};
use crate::catalog::ProductPage;
use crate::error::{ApiError, Result};
use crate::faults::{CacheFlush, OneByOne};
use crate::store::bad;
use crate::store::products::{self, Listed};
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

const LIMIT: RangeInclusive<u32> = 1..=100;
const DEFAULT_LIMIT: u32 = 20;
const MAX_QUERY: usize = 100;
const MAX_WORDS: usize = 5;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    category: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Page {
    products: Vec<Listed>,
    /// Where the next page begins; `null` on the last.
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchParams {
    q: String,
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct Found {
    products: Vec<Listed>,
}

/// `GET /products?category=&cursor=&limit=`
pub(super) async fn list(
    State(shop): State<Shop>,
    one_by_one: Option<Extension<OneByOne>>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page>> {
    let limit = checked(params.limit)?;
    let after = match &params.cursor {
        Some(text) => {
            cursor::decode(text).ok_or_else(|| ApiError::invalid("cursor", "take it from `next_cursor` as it is"))?
        }
        None => 0,
    };
    // One more than asked for tells whether there is a next page.
    let mut found = products::page(&shop.db, params.category.as_deref(), after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    if one_by_one.is_some() {
        found = bad::one_by_one(&shop.db, found).await?;
    }
    let next_cursor = found.last().filter(|_| more).map(|last| cursor::encode(last.id));
    Ok(Json(Page { products: found, next_cursor }))
}

/// `GET /search?q=&limit=`
pub(super) async fn search(
    State(shop): State<Shop>,
    one_by_one: Option<Extension<OneByOne>>,
    Params(params): Params<SearchParams>,
) -> Result<Json<Found>> {
    let limit = checked(params.limit)?;
    if params.q.len() > MAX_QUERY {
        return Err(ApiError::invalid("q", format!("give at most {MAX_QUERY} bytes")));
    }
    let words: Vec<&str> =
        params.q.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(MAX_WORDS).collect();
    if words.is_empty() {
        return Err(ApiError::invalid("q", "give at least one word, such as q=oak+table"));
    }
    let mut found = products::search(&shop.db, &words, limit).await?;
    if one_by_one.is_some() {
        found = bad::one_by_one(&shop.db, found).await?;
    }
    Ok(Json(Found { products: found }))
}

/// `GET /products/{id}`
pub(super) async fn detail(
    State(shop): State<Shop>,
    flush: Option<Extension<CacheFlush>>,
    Id(id): Id,
) -> Result<Json<ProductPage>> {
    if flush.is_some() {
        shop.catalog.forget_page(id).await?;
    }
    let page = shop.catalog.page(id).await?;
    page.map(Json).ok_or_else(|| ApiError::not_found("product"))
}

fn checked(limit: Option<u32>) -> Result<u32> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if LIMIT.contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::invalid("limit", format!("give between {} and {}", LIMIT.start(), LIMIT.end())))
    }
}

/// Where a page ended, in a form that says to clients that it is not theirs to make.
mod cursor {
    /// Told apart from cursors that a later version may hand out.
    const VERSION: &str = "p1";

    pub(super) fn encode(last_id: i64) -> String {
        format!("{VERSION}{last_id:016x}")
    }

    pub(super) fn decode(text: &str) -> Option<i64> {
        let digits = text.strip_prefix(VERSION).filter(|digits| digits.len() == 16)?;
        i64::from_str_radix(digits, 16).ok().filter(|id| *id >= 0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_cursor_comes_back_and_nothing_else_is_taken() {
            for id in [0, 1, 9_999, i64::MAX] {
                assert_eq!(decode(&encode(id)), Some(id));
            }
            for bad in ["", "p1", "1", "p1xyz", "p2000000000000000a", "p1-000000000000001", "p1ffffffffffffffff"] {
                assert_eq!(decode(bad), None, "{bad}");
            }
        }
    }
}
