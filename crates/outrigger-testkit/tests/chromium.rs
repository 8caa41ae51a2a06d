//! Chromium runs a page's scripts, takes its picture, and leaves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use outrigger_testkit::{
    Chromium, Folder,
    http::{Response, Server},
};
use support::processes_that_mention;

#[test]
fn a_page_is_fetched_run_and_pictured() {
    let Some(chromium) = Chromium::find() else { return };
    let server = Server::start(|request| match request.path.as_str() {
        "/" => Response::text_with_type(
            200,
            "text/html",
            "<!doctype html><body style='background:#c00'><p id=told>waiting</p><script>\
             fetch('/data').then(answer => answer.text()).then(text => { told.textContent = 'told ' + text; });</script>",
        ),
        "/data" => Response::plain(200, "by fetch"),
        _ => Response::plain(404, "no such page"),
    });
    // A sibling of the profile folders that the browser will get.
    let folder = Folder::new("sibling");
    let ours = folder.path().parent().expect("all our folders have one parent");

    let dom = chromium.page(server.url("/")).dom();
    assert!(dom.contains("told by fetch") && !dom.contains("waiting"), "{dom}");

    let dom = chromium.page("data:text/html,<p id=sum></p><script>sum.textContent=6*7</script>").dom();
    assert!(dom.contains("<p id=\"sum\">42</p>"), "{dom}");

    let png = chromium.page(server.url("/")).size(320, 200).screenshot();
    assert_eq!(png.get(..8), Some(&b"\x89PNG\r\n\x1a\n"[..]));
    let dimension = |at: usize| png.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
    assert_eq!((dimension(16), dimension(20)), (Some(320), Some(200)));

    assert_eq!(processes_that_mention(&ours.join("chromium-")), Vec::<u32>::new(), "browser processes are left");
    let left: Vec<_> = std::fs::read_dir(ours).expect("our folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["sibling-1"], "a profile is left");
}
