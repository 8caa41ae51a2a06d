//! `/`: what there is to see.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// A line of the index.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) path: String,
    pub(super) about: String,
}

impl Link {
    pub(super) fn new(path: &str, about: &str) -> Self {
        Self { path: path.to_owned(), about: about.to_owned() }
    }
}

pub(super) async fn index(State(links): State<Arc<[Link]>>, headers: HeaderMap) -> Response {
    // Browsers name HTML first; everybody else is better off with text.
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let is_browser = accepts.flat_map(|value| value.split(',')).any(|range| {
        let media_type = range.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("text/html")
    });
    let (content_type, page) = match is_browser {
        true => ("text/html; charset=utf-8", html(&links)),
        false => ("text/plain; charset=utf-8", text(&links)),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::VARY, HeaderValue::from_static("Accept")),
    ];
    (headers, page).into_response()
}

fn text(links: &[Link]) -> String {
    let width = links.iter().map(|link| link.path.chars().count()).max().unwrap_or_default();
    links.iter().fold(String::new(), |mut page, Link { path, about }| {
        // Writing to a string does not fail.
        let _ = writeln!(page, "{path:width$}  {about}");
        page
    })
}

fn html(links: &[Link]) -> String {
    let mut page = HEAD.to_owned();
    for link in links {
        let (path, about) = (escaped(&link.path), escaped(&link.about));
        let _ = writeln!(page, r#"<li><a href="{path}">{path}</a> {about}"#);
    }
    page.push_str("</ul>\n</html>\n");
    page
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Admin listener</title>
<h1>Admin listener</h1>
<ul>
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_adds_is_shown_and_not_run() {
        let links = [Link::new("/a?b=1&c=2", "<script>"), Link::new("/longer/path?here", "\"more\"")];
        let page = html(&links);
        assert!(page.contains(r#"<li><a href="/a?b=1&amp;c=2">/a?b=1&amp;c=2</a> &lt;script&gt;"#), "{page}");
        assert!(page.contains("&quot;more&quot;"), "{page}");
        assert_eq!(text(&links), "/a?b=1&c=2         <script>\n/longer/path?here  \"more\"\n");
    }
}
