//! What customers can ask for. One file a subject; what they share is in `auth`, `input` and `limits`.

mod auth;
mod cart;
mod input;
pub(crate) mod limits;
mod orders;
mod products;
mod users;

use crate::catalog::Catalog;
use crate::error::ApiError;
use crate::passwords::Passwords;
use crate::store::Database;
use crate::workers::OrderQueue;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};

/// No request of the shop needs more.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// Every route's template: what a fault can be put on.
pub(crate) const TEMPLATES: &[&str] = &[
    "/users",
    "/sessions",
    "/products",
    "/products/{id}",
    "/search",
    "/cart",
    "/cart/items",
    "/cart/items/{product_id}",
    "/orders",
    "/orders/{id}",
];

/// What the handlers work with; each part is a cheap clone.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) db: Database,
    pub(crate) catalog: Catalog,
    pub(crate) passwords: Passwords,
    pub(crate) queue: OrderQueue,
}

/// The public router, without its layers.
pub(crate) fn router() -> Router<Shop> {
    Router::new()
        .route("/users", post(users::sign_up))
        .route("/sessions", post(users::log_in))
        .route("/products", get(products::list))
        .route("/products/{id}", get(products::detail))
        .route("/search", get(products::search))
        .route("/cart", get(cart::show))
        .route("/cart/items", post(cart::add))
        .route("/cart/items/{product_id}", delete(cart::remove))
        .route("/orders", post(orders::checkout))
        .route("/orders/{id}", get(orders::show))
        .fallback(async || ApiError::not_found("page"))
        .method_not_allowed_fallback(async || {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this page does not take that method")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}
