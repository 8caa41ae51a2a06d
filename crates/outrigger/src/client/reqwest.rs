//! The layer as a middleware of reqwest.

use std::any::Any;
use std::error::Error;

use ::http::{Extensions, Response};
use ::reqwest::ResponseBuilderExt;
use reqwest_middleware::{Middleware, Next};

use super::{Call, ClientMetricsLayer, ResponseFuture, Target, UrlTemplate};

/// The host is that of the request; a redirect that reqwest follows is part of the call. A [`UrlTemplate`] is given
/// with `RequestBuilder::with_extension`.
#[async_trait::async_trait]
impl Middleware for ClientMetricsLayer {
    async fn handle(
        &self,
        request: ::reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<::reqwest::Response> {
        let url = request.url();
        let target = Target::new(url.host_str().unwrap_or_default(), url.port_or_known_default());
        let template = extensions.get::<UrlTemplate>().copied();
        let call = Call::start(&self.metrics, request.method(), &target, template, self.settings.known);
        let sent = async { next.run(request, extensions).await.map(into_http) };
        let response = ResponseFuture::new(sent, call, self.settings.until_headers).await?;
        Ok(response.map(::reqwest::Body::wrap).into())
    }
}

/// Takes a response apart without losing its URL, as reqwest's own conversion does.
fn into_http(response: ::reqwest::Response) -> Response<::reqwest::Body> {
    let url = response.url().clone();
    let mut response = Response::<::reqwest::Body>::from(response);
    if let Ok(with_url) = Response::builder().url(url).body(()) {
        response.extensions_mut().extend(with_url.into_parts().0.extensions);
    }
    response
}

/// Sees a value as the error that it is, if it is one of reqwest's.
pub(super) fn as_error(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<reqwest_middleware::Error>() {
        return Some(error);
    }
    error.downcast_ref::<::reqwest::Error>().map(|error| error as _)
}

/// The error that the middleware's transparent one stands for, which is not its source.
pub(super) fn inner<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<reqwest_middleware::Error>()? {
        reqwest_middleware::Error::Middleware(error) => {
            let error: &'a (dyn Error + Send + Sync + 'static) = error.as_ref();
            Some(error)
        }
        reqwest_middleware::Error::Reqwest(error) => Some(error),
    }
}
