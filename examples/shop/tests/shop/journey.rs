//! From the list to a paid order.

use crate::backend::{Backend, on_each_database};
use serde_json::json;

on_each_database!(a_customer_finds_buys_and_is_told, a_declined_card_puts_the_goods_back_on_the_shelf);

fn a_customer_finds_buys_and_is_told(on: &Backend) {
    let shop = on.shop();
    let page = shop.get("/products?limit=5").json();
    assert_eq!(page["products"].as_array().unwrap().len(), 5);
    let found = shop.get("/search?q=oak+desk").json();
    let first = &found["products"][0];
    let name = first["name"].as_str().unwrap().to_lowercase();
    assert!(name.contains("oak") && name.contains("desk"), "{found}");

    let id = first["id"].as_i64().unwrap();
    let detail = shop.get(&format!("/products/{id}")).json();
    assert_eq!(detail["name"], first["name"]);
    assert!(detail["description"].as_str().unwrap().len() > 20);
    let together = detail["bought_together"].as_array().unwrap();
    assert!(!together.is_empty() && together.iter().all(|other| other["id"] != id), "{detail}");

    let customer = shop.customer();
    assert_eq!(customer.put_into_cart(id, 2).status, 200);
    let cart = customer.send("GET", "/cart", None).json();
    let total = 2 * first["price_cents"].as_i64().unwrap();
    assert_eq!(cart["total_cents"], total);
    let response = customer.send("POST", "/orders", None);
    assert_eq!(response.status, 201);
    let order = response.json();
    assert_eq!((&order["status"], &order["total_cents"]), (&json!("pending"), &json!(total)));
    assert_eq!(order["items"][0], json!({"product_id": id, "quantity": 2, "unit_price_cents": first["price_cents"]}));
    assert_eq!(customer.send("GET", "/cart", None).json()["items"], json!([]));
    customer.wait_status(order["id"].as_i64().unwrap(), "notified");
}

fn a_declined_card_puts_the_goods_back_on_the_shelf(on: &Backend) {
    // Deliveries stay away, so that the shelf shows what the order gave back.
    let shop = on.shop_with(&["--restock-interval", "1h"]);
    let customer = shop.customer();
    // A last piece, of which there are three, and enough of others to go past the card's limit.
    assert_eq!(customer.put_into_cart(97, 3).status, 200);
    let mut total = 0;
    for id in 1..40 {
        total = customer.put_into_cart(id, 20).json()["total_cents"].as_i64().unwrap();
        if total > 2_000_000 {
            break;
        }
    }
    assert!(total > 2_000_000);
    let order = customer.check_out();
    customer.wait_status(order, "failed");
    // All three are there again.
    let other = shop.customer();
    assert_eq!(other.put_into_cart(97, 3).status, 200);
    let order = other.check_out();
    other.wait_status(order, "notified");
}
