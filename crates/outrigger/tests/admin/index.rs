//! The index, as a browser and as curl get it.

use outrigger_semconv::library;

use crate::support::Page;
use crate::{ANY_PORT, ask_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_lists_what_there_is() {
    let metrics = outrigger::standalone().unwrap();
    let admin = metrics.admin().link("/version", "the release <that> runs").listen(ANY_PORT).serve();
    let address = admin.local_addr().unwrap();

    for accept in ["", "accept: */*"] {
        let text = ask_with(address, "GET", "/", accept).await.to_ascii_lowercase();
        assert!(text.contains("content-type: text/plain; charset=utf-8") && text.contains("vary: accept"), "{text}");
        for line in ["/metrics  ", "/-/ready  ", "/-/healthy  ", "/version       the release <that> runs\n"] {
            assert!(text.contains(&format!("\n{line}")), "{line} in {text}");
        }
    }
    let browser = "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let html = ask_with(address, "GET", "/", browser).await;
    assert!(html.contains("content-type: text/html; charset=utf-8"), "{html}");
    assert!(html.contains(r#"<a href="/metrics">/metrics</a>"#), "{html}");
    assert!(html.contains(r#"<a href="/version">/version</a> the release &lt;that&gt; runs"#), "{html}");
    assert_eq!(Page::of(&metrics).number(&library::ADMIN_UNAUTHORIZED, &[]), Some(0.0));
}
