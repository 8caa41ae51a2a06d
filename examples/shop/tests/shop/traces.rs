//! Traces, received by a decoder that shares no code with the shop's exporter.

use crate::support::{PATIENCE, Shop, shop_program};
use outrigger_testkit::http::request;
use outrigger_testkit::{OtlpReceiver, wait_for};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

#[test]
fn a_request_joins_its_callers_trace() {
    let Some(receiver) = OtlpReceiver::start() else { return };
    let shop = Shop::run(
        &shop_program()
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint())
            .env("OTEL_BSP_SCHEDULE_DELAY", "100"),
    );
    let context = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", context.as_str())];
    let response = request("GET", &format!("{}/products/10001", shop.url), &headers, b"", PATIENCE).unwrap();
    assert_eq!(response.status, 404);
    let span = wait_for(PATIENCE, "the request's span", || {
        receiver.spans().into_iter().find(|span| span["trace_id"] == TRACE)
    });
    assert_eq!(span["name"], "GET /products/{id}", "{span}");
    assert_eq!(span["parent_span_id"], PARENT, "{span}");
    assert_eq!(span["attributes"]["http.route"], "/products/{id}", "{span}");
    assert_eq!(span["attributes"]["http.response.status_code"], 404, "{span}");
    assert_eq!(span["resource"]["service.name"], "shop", "{span}");
    assert!(shop.process.stop(PATIENCE).unwrap().success());
}

#[test]
fn a_dead_endpoint_holds_up_neither_requests_nor_the_end() {
    // Nobody listens on the discard port.
    let shop = Shop::run(&shop_program().env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"));
    for _ in 0..20 {
        assert_eq!(shop.get("/products").status, 200);
    }
    assert!(shop.process.stop(PATIENCE).unwrap().success());
}
