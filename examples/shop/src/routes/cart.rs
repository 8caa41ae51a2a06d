//! The cart.

use super::Shop;
use super::auth::CurrentUser;
use super::input::{Body, Id};
use crate::error::{ApiError, Result};
use crate::store::carts::{self, Added, Cart, MAX_LINES, MAX_QUANTITY};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Addition {
    product_id: i64,
    quantity: i64,
}

/// `GET /cart`
pub(super) async fn show(State(shop): State<Shop>, CurrentUser(user): CurrentUser) -> Result<Json<Cart>> {
    Ok(Json(carts::contents(&shop.db, user).await?))
}

/// `POST /cart/items`
pub(super) async fn add(
    State(shop): State<Shop>,
    CurrentUser(user): CurrentUser,
    Body(addition): Body<Addition>,
) -> Result<Json<Cart>> {
    let Addition { product_id, quantity } = addition;
    if !(1..=MAX_QUANTITY).contains(&quantity) {
        return Err(ApiError::invalid("quantity", format!("give between 1 and {MAX_QUANTITY}")));
    }
    match carts::add(&shop.db, user, product_id, quantity).await? {
        Added::Done => show(State(shop), CurrentUser(user)).await,
        Added::NoSuchProduct => Err(ApiError::invalid("product_id", format!("there is no product {product_id}"))),
        Added::SoldOut => Err(ApiError::conflict("out_of_stock", format!("product {product_id} is sold out"))),
        Added::CartFull => {
            Err(ApiError::conflict("cart_full", format!("a cart holds at most {MAX_LINES} different products")))
        }
        Added::TooMany => {
            Err(ApiError::conflict("too_many", format!("a cart holds at most {MAX_QUANTITY} pieces of a product")))
        }
    }
}

/// `DELETE /cart/items/{product_id}`
pub(super) async fn remove(
    State(shop): State<Shop>,
    CurrentUser(user): CurrentUser,
    Id(product_id): Id,
) -> Result<Json<Cart>> {
    if carts::remove(&shop.db, user, product_id).await? {
        show(State(shop), CurrentUser(user)).await
    } else {
        Err(ApiError::not_found("product in the cart"))
    }
}
