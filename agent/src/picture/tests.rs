use proptest::prelude::*;

use super::film::{Film, Limits};
use super::incident::{Told, page};
use super::scene::{Scene, Span};
use super::strip::{Cell, Strip};
use crate::derive::Interval;

fn told(route: &str) -> Told {
    serde_json::from_value(serde_json::json!({
        "id": "1-1", "target": "shop:9464", "state": "resolved", "started_at": "2026-11-21T12:10:00Z",
        "detected_at": "2026-11-21T12:10:15Z", "resolved_at": "2026-11-21T12:15:00Z", "requests_affected": 700,
        "summary": "It was slow.",
        "routes": [{"method": "GET", "route": route, "signal": "latency", "before": {"p95": 0.08}, "during": {"p95": 0.7},
            "requests_affected": 700, "summary": "p95 rose"}],
        "causes": [{"cause": "slow_query", "strength": 0.8, "subject": "SELECT <orders>", "evidence": "it took longer"}],
        "added_time": [
            {"part": "database", "subject": "SELECT <orders>", "seconds": 9.0, "share": 0.75},
            {"part": "cache_load", "subject": null, "seconds": 2.95, "share": 0.2458},
            {"part": "unaccounted", "subject": null, "seconds": 0.05, "share": 0.0042}],
    }))
    .unwrap()
}

const ONSET: f64 = 1_795_263_000.0;

/// Ten minutes of calm, five in which a third is slow, five of calm; an interval each five seconds.
fn scene(route: &str) -> Scene {
    let mut strip = Strip::new(1440);
    for number in 0..240_u32 {
        let slow = if (120..180).contains(&number) { 30 } else { u64::from(number % 7 == 0) };
        let interval =
            Interval { delta: vec![40, 60 - slow, 0, slow, 0], seconds: 5.0, failed: slow / 10, ..Interval::default() };
        strip.push(&[0.05, 0.1, 0.5, 1.0], &interval, ONSET - 600.0 + 5.0 * f64::from(number + 1), 0.0);
    }
    Scene {
        route: format!("GET {route}"),
        bounds: strip.bounds().to_vec(),
        cells: strip.between(0.0, f64::INFINITY),
        // The end is noticed a minute after it was calm again.
        span: Span { onset: ONSET, detected: ONSET + 15.0, end: Some(ONSET + 360.0) },
    }
}

#[test]
fn the_page_of_an_incident_says_and_shows_it() {
    let html = page(&told("/cart"), &[scene("/cart")], "index.html");
    for part in [
        "GET /cart slower than usual",
        "From 2026-11-21T12:00:00Z to 2026-11-21T12:20:00Z. Before the incident: 20 requests per second, ",
        "During it: 20 requests per second, p50 ",
        "onset 12:10:00",
        "detected 12:10:15",
        "end 12:16:00",
        "500 ms to 1 s: 0.15 % before, 30 % during.",
        "slow query",
        "SELECT &lt;orders&gt;",
        "Of 12 s that requests lost: database (SELECT &lt;orders&gt;) 75 %, cache load 25 %.",
        "<strong class=\"x\">",
    ] {
        // The last one is a counter-proof: not everything is in there.
        assert_eq!(html.contains(part), !part.contains("\"x\""), "{part}: {html}");
    }
    assert!(!html.contains("<script") && !html.contains("http://"), "nothing is run or loaded");
    assert!(html.len() < 200_000, "{} bytes", html.len());
}

#[test]
fn without_what_was_counted_the_distribution_that_was_kept_is_shown() {
    let mut told = told("/cart");
    assert!(!page(&told, &[], "/").contains("<svg"));
    let kept = serde_json::json!({"bounds": [0.1, 1.0], "before": [1.0, 1e-9, 0.0], "during": [0.7, 0.3, -1.0]});
    told.routes[0].distribution = serde_json::from_value(kept).unwrap();
    let html = page(&told, &[], "/");
    assert!(html.contains("100 ms to 1 s: &lt; 0.01 % before, 30 % during."), "{html}");
    assert!(is_well_formed(&html));
}

#[test]
fn strips_are_bounded_and_lose_nothing_but_detail() {
    let mut strip = Strip::new(1440);
    for number in 0..10_000_u32 {
        let interval = Interval { delta: vec![1, 2], seconds: 5.0, failed: 1, ..Interval::default() };
        strip.push(&[0.1], &interval, 5.0 * f64::from(number + 1), 0.0);
    }
    let cells = strip.between(0.0, f64::INFINITY);
    assert!(cells.len() <= 1440, "{}", cells.len());
    assert_eq!(cells.iter().map(Cell::requests).sum::<u64>(), 30_000);
    assert_eq!(cells.iter().map(|cell| cell.failed).sum::<u64>(), 10_000);
    assert!((cells.iter().map(|cell| cell.seconds).sum::<f64>() - 50_000.0).abs() < 1e-6);
    // What is too old goes, and other buckets begin anew.
    strip.push(&[0.1], &Interval { delta: vec![1, 2], ..Interval::default() }, 60_000.0, 49_990.0);
    assert!(strip.between(0.0, f64::INFINITY).iter().all(|cell| cell.end >= 49_990.0));
    strip.push(&[0.2], &Interval { delta: vec![1, 2], ..Interval::default() }, 60_005.0, 0.0);
    assert_eq!(strip.between(0.0, f64::INFINITY).len(), 1);
}

#[test]
fn incidents_are_followed_side_by_side_until_they_have_been_over_for_a_while() {
    let mut film = Film::new(Limits { routes: 1, cells: 10 });
    let mut follow = |open: &[&str], now: f64| film.follow(open.iter().map(|id| (*id, now)), now);
    assert!(follow(&["a"], 0.0).is_empty());
    assert!(follow(&["a", "b"], 10.0).is_empty());
    assert!(follow(&["b"], 20.0).is_empty());
    // One that opens again is not over.
    assert!(follow(&["a", "b"], 310.0).is_empty());
    assert!(follow(&["b"], 320.0).is_empty());
    assert!(follow(&["b"], 619.0).is_empty());
    assert_eq!(follow(&["b"], 620.0), ["a"]);
    assert!(follow(&[], 630.0).is_empty());
    assert_eq!(film.end(), ["b"], "it was open to the last");
    assert!(film.end().is_empty());
}

/// An element that stands open, or text that is none: whatever a service calls its routes, the page must stay well formed.
fn is_well_formed(html: &str) -> bool {
    let void = ["meta", "br", "!doctype"];
    let mut open = Vec::new();
    for tag in html.split('<').skip(1).map(|part| part.split('>').next().unwrap_or_default()) {
        let name = tag.split_whitespace().next().unwrap_or_default().trim_end_matches('/').to_lowercase();
        if let Some(closed) = name.strip_prefix('/') {
            if open.pop().as_deref() != Some(closed) {
                return false;
            }
        } else if !tag.ends_with('/') && !void.contains(&name.as_str()) {
            open.push(name);
        }
    }
    open.is_empty()
}

proptest! {
    #[test]
    fn no_name_breaks_a_page(name in "\\PC{0,20}|[<>&\"'/a-z]{0,30}") {
        let html = page(&told(&name), &[scene(&name)], &name);
        prop_assert!(is_well_formed(&html), "{}", html);
    }

    #[test]
    fn no_figures_break_a_picture(
        bounds in proptest::collection::vec(prop_oneof![Just(f64::NAN), Just(f64::INFINITY), -1.0..1e9], 0..5),
        cells in proptest::collection::vec(
            (
                prop_oneof![Just(f64::NAN), Just(1e300), 0.0..2e9],
                prop_oneof![Just(0.0), Just(f64::INFINITY), 0.0..1e5],
                proptest::collection::vec(prop_oneof![Just(u64::MAX), 0..9_u64], 0..6),
            ),
            0..20,
        ),
        onset in prop_oneof![Just(f64::NAN), Just(-1e300), 0.0..2e9],
        end in prop_oneof![Just(None), Just(Some(f64::INFINITY)), (0.0..2e9).prop_map(Some)],
    ) {
        let cell = |(end, seconds, counts): (f64, f64, Vec<u64>)| Cell { end, seconds, counts, failed: 3 };
        let cells: Vec<_> = cells.into_iter().map(cell).collect();
        let scene = Scene { route: "GET /".to_owned(), bounds, cells, span: Span { onset, detected: onset, end } };
        for picture in [scene.over_time(), scene.distribution()].into_iter().flatten() {
            prop_assert!(is_well_formed(&picture), "{}", picture);
            prop_assert!(!picture.contains("\"NaN") && !picture.contains("inf\""), "{}", picture);
        }
    }
}
