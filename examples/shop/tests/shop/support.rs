//! A running shop, its customers, and what its metrics say.

use outrigger_exposition::{Format, Value as Sample, families};
use outrigger_testkit::http::{Response, request};
use outrigger_testkit::{Folder, Process, Program, wait_for};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Long enough for a busy machine; only failures wait for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// The shop on free ports, without a database of its own to keep.
pub(crate) fn shop_program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_shop")).args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
}

pub(crate) fn load_program(target: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_load")).args(["--target", target])
}

pub(crate) struct Shop {
    // Dropped in this order: a shop that is killed leaves its temporary database behind.
    pub(crate) process: Process,
    pub(crate) temporary: Folder,
    pub(crate) url: String,
    pub(crate) admin: String,
}

impl Shop {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(args: &[&str]) -> Self {
        Self::run(&shop_program().args(args))
    }

    pub(crate) fn run(program: &Program) -> Self {
        let temporary = Folder::new("tmp");
        let process = program.clone().env("TMPDIR", temporary.path()).start();
        let url = after(&process.wait_line(PATIENCE, "shop: http"), "shop: ");
        let admin = after(&process.wait_line(PATIENCE, "metrics: http"), "metrics: ").replace("/metrics", "");
        process.wait_url(PATIENCE, &format!("{url}/products?limit=1"));
        Self { process, temporary, url, admin }
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.send("GET", path, None, None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.send("POST", path, None, Some(body))
    }

    pub(crate) fn send(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Response {
        send(method, &format!("{}{path}", self.url), token, body)
    }

    pub(crate) fn admin_send(&self, method: &str, path: &str, body: Option<&Value>) -> Response {
        send(method, &format!("{}{path}", self.admin), None, body)
    }

    pub(crate) fn fault(&self, name: &str, setting: &Value) {
        let response = self.admin_send("PUT", &format!("/faults/{name}"), Some(setting));
        assert_eq!(response.status, 200, "{}", response.text());
    }

    pub(crate) fn end_fault(&self, name: &str) {
        assert_eq!(self.admin_send("DELETE", &format!("/faults/{name}"), None).status, 200);
    }

    /// A new user, logged in.
    pub(crate) fn customer(&self) -> Customer<'_> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let email = format!("ada-{}@example.com", NEXT.fetch_add(1, Ordering::Relaxed));
        let account = json!({"email": email, "password": "correct horse"});
        assert_eq!(self.post("/users", &account).status, 201);
        let session = self.post("/sessions", &account);
        assert_eq!(session.status, 201, "{}", session.text());
        Customer { shop: self, token: session.json()["token"].as_str().unwrap().to_owned() }
    }

    pub(crate) fn metrics_page(&self) -> String {
        let response = self.admin_send("GET", "/metrics", None);
        assert_eq!(response.status, 200);
        response.text()
    }

    /// The sum over all series of a metric that carry the labels; for a histogram, its count.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let page = families(self.metrics_page().as_bytes(), Format::Text);
        let family = page.families.iter().find(|family| family.name == name.trim_end_matches("_total"));
        let points = family.map(|family| family.points.as_slice()).unwrap_or_default();
        let wanted = points.iter().filter(|point| {
            labels
                .iter()
                .all(|(name, value)| point.labels.iter().any(|label| label.name == *name && label.value == *value))
        });
        wanted
            .map(|point| match &point.value {
                Sample::Counter(value) | Sample::Gauge(value) => *value,
                Sample::Histogram(histogram) => histogram.count() as f64,
                other => panic!("{name}: {other:?}"),
            })
            .sum()
    }
}

pub(crate) struct Customer<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) token: String,
}

impl Customer<'_> {
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Response {
        self.shop.send(method, path, Some(&self.token), body)
    }

    pub(crate) fn put_into_cart(&self, product_id: i64, quantity: i64) -> Response {
        self.send("POST", "/cart/items", Some(&json!({"product_id": product_id, "quantity": quantity})))
    }

    /// Orders what is in the cart, and gives the order's id.
    pub(crate) fn check_out(&self) -> i64 {
        let response = self.send("POST", "/orders", None);
        assert_eq!(response.status, 201, "{}", response.text());
        response.json()["id"].as_i64().unwrap()
    }

    pub(crate) fn order_status(&self, id: i64) -> String {
        let response = self.send("GET", &format!("/orders/{id}"), None);
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()["status"].as_str().unwrap().to_owned()
    }

    pub(crate) fn wait_status(&self, id: i64, status: &str) {
        let mut last = String::new();
        wait_for(PATIENCE, &format!("order {id} becomes {status}"), || {
            last = self.order_status(id);
            (last == status).then_some(())
        });
    }
}

/// Asserts an error's status and code, and that the message names something.
#[track_caller]
pub(crate) fn assert_error(response: &Response, status: u16, code: &str, named: &str) {
    let text = response.text();
    assert_eq!(response.status, status, "{text}");
    let error = &response.json()["error"];
    assert_eq!(error["code"], code, "{text}");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(named)), "{named} is not in {text}");
}

pub(crate) fn send(method: &str, url: &str, token: Option<&str>, body: Option<&Value>) -> Response {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(authorization.as_deref().map(|value| ("authorization", value)));
    let body = body.map(Value::to_string).unwrap_or_default();
    request(method, url, &headers, body.as_bytes(), REQUEST_TIMEOUT)
        .unwrap_or_else(|error| panic!("{method} {url}: {error}"))
}

fn after(line: &str, prefix: &str) -> String {
    let rest = &line[line.find(prefix).unwrap() + prefix.len()..];
    rest.split_whitespace().next().unwrap().to_owned()
}
