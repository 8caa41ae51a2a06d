//! Requests without a socket: the router is called directly, one request at a time, and each body is read to its end.

use crate::Result;
use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::BodyExt as _;
use tokio::runtime::Runtime;
use tower::Service as _;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub enum Scenario {
    /// One route and one method.
    Product,
    /// Four requests in turn over three routes and two methods.
    Mix,
    /// A path that nothing matches, another one each time.
    Unmatched,
}

impl std::str::FromStr for Scenario {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "product" => Ok(Self::Product),
            "mix" => Ok(Self::Mix),
            "unmatched" => Ok(Self::Unmatched),
            _ => Err(format!("no scenario {name:?}: product, mix or unmatched").into()),
        }
    }
}

impl Scenario {
    fn request(self, number: usize) -> Request<Body> {
        let (method, uri) = match (self, number % 4) {
            (Self::Mix, 0) => (Method::GET, Uri::from_static("/")),
            (Self::Mix, 2) => (Method::GET, Uri::from_static("/products/7")),
            (Self::Mix, 3) => (Method::POST, Uri::from_static("/orders")),
            (Self::Product | Self::Mix, _) => (Method::GET, Uri::from_static("/products/42")),
            (Self::Unmatched, _) => (Method::GET, unmatched(number)),
        };
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("shop.example"));
        request
    }
}

fn unmatched(number: usize) -> Uri {
    // Always a valid URI; the fallback matches no route either.
    format!("/.git/{number}/config").try_into().unwrap_or_else(|_| Uri::from_static("/.git/config"))
}

/// A runtime as a service on one thread has it.
pub fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Makes `count` requests. The sum that it returns is of no use but to keep the work from being optimised away.
///
/// Instructions are counted within this symbol, so it has to exist as such.
#[inline(never)]
#[unsafe(no_mangle)]
pub fn measured_requests(runtime: &Runtime, router: &mut Router, scenario: Scenario, count: usize) -> u64 {
    runtime.block_on(async {
        let mut sum = 0;
        for number in 0..count {
            let Ok(response) = router.call(scenario.request(number)).await;
            sum += u64::from(response.status().as_u16());
            let mut body = response.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                sum += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
        }
        sum
    })
}
