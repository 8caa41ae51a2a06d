//! Carts, checkouts, and what the workers make of them.

use crate::backend::{Backend, new_database, on_each_database};
use crate::support::{Customer, PATIENCE, Shop, assert_error};
use outrigger_testkit::Folder;
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::sync::Barrier;
use std::thread;

on_each_database!(
    a_cart_takes_what_there_is,
    nobody_gets_more_than_there_is,
    a_full_queue_refuses_orders_and_takes_nothing,
    orders_survive_a_kill_and_are_finished_once,
    a_rush_sells_each_piece_once
);

/// A product of which there are three, and never more.
const LAST_PIECE: i64 = 97;

fn a_cart_takes_what_there_is(on: &Backend) {
    let shop = on.shop();
    let customer = shop.customer();
    assert_error(&customer.send("POST", "/orders", None), 409, "empty_cart", "");
    assert_error(&customer.put_into_cart(10_001, 1), 400, "invalid_field", "product_id");
    for quantity in [0, -1, 21] {
        assert_error(&customer.put_into_cart(1, quantity), 400, "invalid_field", "quantity");
    }
    assert_eq!(customer.put_into_cart(1, 15).status, 200);
    assert_error(&customer.put_into_cart(1, 6), 409, "too_many", "20");
    for id in 2..=50 {
        assert_eq!(customer.put_into_cart(id, 1).status, 200);
    }
    assert_error(&customer.put_into_cart(51, 1), 409, "cart_full", "50");
    assert_eq!(customer.send("DELETE", "/cart/items/50", None).status, 200);
    assert_error(&customer.send("DELETE", "/cart/items/50", None), 404, "not_found", "cart");
    assert_eq!(customer.put_into_cart(51, 1).json()["items"].as_array().unwrap().len(), 50);
}

fn nobody_gets_more_than_there_is(on: &Backend) {
    let shop = on.shop();
    let page = format!("/products/{LAST_PIECE}");
    assert_eq!(shop.get(&page).json()["availability"], "few");
    let (first, second) = (shop.customer(), shop.customer());
    assert_eq!(first.put_into_cart(LAST_PIECE, 4).status, 200);
    assert_error(&first.send("POST", "/orders", None), 409, "out_of_stock", "3 left");
    assert_eq!(second.put_into_cart(LAST_PIECE, 3).status, 200);
    let order = second.check_out();
    // The page was cached as `few`; the sale has thrown it out.
    assert_eq!(shop.get(&page).json()["availability"], "sold_out");
    assert_error(&first.put_into_cart(LAST_PIECE, 1), 409, "out_of_stock", "sold out");
    assert_error(&first.send("POST", "/orders", None), 409, "out_of_stock", "0 left");
    let cart = first.send("GET", "/cart", None).json();
    assert_eq!(cart["items"][0]["availability"], "sold_out");
    // An order is its owner's only.
    assert_error(&first.send("GET", &format!("/orders/{order}"), None), 404, "not_found", "order");
    assert_eq!(second.send("GET", &format!("/orders/{order}"), None).status, 200);
}

fn a_full_queue_refuses_orders_and_takes_nothing(on: &Backend) {
    let shop = on.shop_with(&["--queue-capacity", "1", "--workers", "1", "--payment-latency", "10m"]);
    // One in hand, one in the queue, and perhaps one before the worker has taken the first.
    let (customer, refused) = (0..4)
        .find_map(|_| {
            let customer = shop.customer();
            assert_eq!(customer.put_into_cart(1, 1).status, 200);
            let response = customer.send("POST", "/orders", None);
            (response.status != 201).then_some((customer, response))
        })
        .expect("the queue never filled");
    assert_error(&refused, 503, "queue_full", "nothing was ordered");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(customer.send("GET", "/cart", None).json()["items"].as_array().unwrap().len(), 1);
    let counted = [("http_route", "/orders"), ("http_response_status_code", "503"), ("error_type", "503")];
    assert_eq!(shop.metric("http_server_request_duration_seconds", &counted), 1.0);
}

fn orders_survive_a_kill_and_are_finished_once(on: &Backend) {
    let folder = Folder::new("shop");
    let file = folder.path().join("shop.db").display().to_string();
    let database = match on {
        Backend::Sqlite => file.clone(),
        Backend::Postgres(postgres) => new_database(postgres),
    };
    let shop = Shop::with(&["--database", &database, "--payment-latency", "10m"]);
    let customer = shop.customer();
    let orders: Vec<i64> = (1..=5)
        .map(|id| {
            assert_eq!(customer.put_into_cart(id, 1).status, 200);
            customer.check_out()
        })
        .collect();
    let token = customer.token.clone();
    assert!(orders.iter().all(|id| customer.order_status(*id) == "pending"));
    shop.process.kill();

    let shop = Shop::with(&["--database", &database]);
    // The session is still good, too.
    let customer = Customer { shop: &shop, token };
    for id in &orders {
        customer.wait_status(*id, "notified");
    }
    shop.process.stop(PATIENCE);
    let told = async {
        let told = "SELECT order_id FROM notifications ORDER BY order_id";
        match on {
            Backend::Sqlite => {
                let mut database = SqliteConnection::connect(&format!("sqlite:{file}")).await.unwrap();
                sqlx::query_scalar::<_, i64>(told).fetch_all(&mut database).await.unwrap()
            }
            Backend::Postgres(_) => {
                let mut database = PgConnection::connect(&database).await.unwrap();
                sqlx::query_scalar::<_, i64>(told).fetch_all(&mut database).await.unwrap()
            }
        }
    };
    let told = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(told);
    assert_eq!(told, orders);
}

/// Customers of one product meet at the shelf, each with their goods in an order of their own.
fn a_rush_sells_each_piece_once(on: &Backend) {
    let shop = on.shop_with(&["--restock-interval", "1h"]);
    // The carts are full before anybody pays: what is sold out cannot be put into one.
    let full = Barrier::new(8);
    let sold = thread::scope(|scope| {
        let rush: Vec<_> = (0..8)
            .map(|number| {
                let (shop, full) = (&shop, &full);
                scope.spawn(move || {
                    let customer = shop.customer();
                    let mut goods = [LAST_PIECE, 1, 2, 3];
                    goods.rotate_left(number % 4);
                    let put = goods.map(|id| customer.put_into_cart(id, 1).status);
                    full.wait();
                    assert_eq!(put, [200; 4]);
                    let response = customer.send("POST", "/orders", None);
                    if response.status != 201 {
                        assert_error(&response, 409, "out_of_stock", "0 left");
                    }
                    response.status == 201
                })
            })
            .collect();
        rush.into_iter().map(|customer| customer.join().unwrap()).filter(|sold| *sold).count()
    });
    assert_eq!(sold, 3);
}
