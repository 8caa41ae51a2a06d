//! Signing up and logging in.

use crate::backend::{Backend, on_each_database};
use crate::support::assert_error;
use serde_json::json;

on_each_database!(accounts_are_checked_and_sessions_are_needed, the_oldest_of_too_many_sessions_ends);

fn accounts_are_checked_and_sessions_are_needed(on: &Backend) {
    let shop = on.shop();
    let account = |email: &str, password: &str| json!({"email": email, "password": password});
    let sign_up = |email: &str, password: &str| shop.post("/users", &account(email, password));
    let log_in = |email: &str, password: &str| shop.post("/sessions", &account(email, password));

    assert_error(&sign_up("not an address", "correct horse"), 400, "invalid_field", "email");
    assert_error(&sign_up("ada@example.com", "short"), 400, "invalid_field", "password");
    assert_error(&sign_up("ada@example.com", &"x".repeat(129)), 400, "invalid_field", "password");
    assert_error(&shop.post("/users", &json!({"email": "ada@example.com"})), 400, "invalid_json", "password");
    assert_error(
        &shop.post("/users", &json!({"email": "ada@example.com", "password": "correct horse", "admin": true})),
        400,
        "invalid_json",
        "admin",
    );

    let created = sign_up("ada@example.com", "correct horse");
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["email"], "ada@example.com");
    assert!(!created.text().contains("argon2"), "{}", created.text());
    assert_error(&sign_up("ada@example.com", "another one"), 409, "email_taken", "");
    assert_error(&sign_up("ADA@example.com", "another one"), 409, "email_taken", "");

    let wrong = log_in("ada@example.com", "battery staple");
    let unknown = log_in("eve@example.com", "battery staple");
    assert_error(&wrong, 401, "bad_credentials", "");
    assert_eq!(wrong.text(), unknown.text(), "an answer tells who has an account");
    assert_error(&log_in("counter@shop.invalid", "!"), 401, "bad_credentials", "");

    let session = log_in("ada@example.com", "correct horse");
    assert_eq!(session.status, 201);
    let token = session.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(shop.send("GET", "/cart", Some(&token), None).status, 200);
    for (method, path) in [("GET", "/cart"), ("POST", "/cart/items"), ("POST", "/orders"), ("GET", "/orders/1")] {
        let refused = shop.send(method, path, None, None);
        assert_error(&refused, 401, "no_session", "/sessions");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
        assert_error(&shop.send(method, path, Some("deadbeef"), None), 401, "session_expired", "");
    }
}

fn the_oldest_of_too_many_sessions_ends(on: &Backend) {
    let shop = on.shop();
    let account = json!({"email": "ada@example.com", "password": "correct horse"});
    assert_eq!(shop.post("/users", &account).status, 201);
    let tokens: Vec<String> =
        (0..12).map(|_| shop.post("/sessions", &account).json()["token"].as_str().unwrap().to_owned()).collect();
    let works = |token: &String| shop.send("GET", "/cart", Some(token), None).status == 200;
    assert!(works(&tokens[11]));
    assert_eq!(tokens.iter().filter(|token| works(token)).count(), 10);
}
