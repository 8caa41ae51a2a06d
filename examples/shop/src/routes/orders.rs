//! Checkout, and what became of it.

use super::Shop;
use super::auth::CurrentUser;
use super::input::Id;
use crate::error::{ApiError, Result};
use crate::store::orders::{self, Checkout, Order};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

/// `POST /orders`: makes an order of the cart. Payment and notification follow in the background.
pub(super) async fn checkout(
    State(shop): State<Shop>,
    CurrentUser(user): CurrentUser,
) -> Result<(StatusCode, Json<Order>)> {
    // The place in the queue comes first: an order that is written has somebody to work on it.
    let place = shop.queue.reserve()?;
    match orders::checkout(&shop.db, user).await? {
        Checkout::Placed { order_id, availability_changed } => {
            place.put(order_id);
            shop.catalog.forget_products(&availability_changed).await;
            let order = orders::find(&shop.db, user, order_id).await?.ok_or_else(|| ApiError::not_found("order"))?;
            Ok((StatusCode::CREATED, Json(order)))
        }
        Checkout::EmptyCart => Err(ApiError::conflict("empty_cart", "there is nothing in the cart")),
        Checkout::OutOfStock { product_id, wanted, left } => Err(ApiError::conflict(
            "out_of_stock",
            format!("product {product_id}: {wanted} wanted, {left} left; change the cart and try again"),
        )),
    }
}

/// `GET /orders/{id}`
pub(super) async fn show(State(shop): State<Shop>, CurrentUser(user): CurrentUser, Id(id): Id) -> Result<Json<Order>> {
    let order = orders::find(&shop.db, user, id).await?;
    order.map(Json).ok_or_else(|| ApiError::not_found("order"))
}
