//! Pages of a service with a fault, played.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_exposition::Format;
use proptest::prelude::*;

use super::files::Files;
use super::player::{Episode, Played, Player};
use super::recording::{self, Taken};
use super::report::{Found, Summary, json};
use super::truth;
use crate::collect::scrape::{Address, Page, Scrape, ScrapeError};
use crate::config::Settings;
use crate::state::State;

const START: u64 = 1_795_262_400;
/// The fault, in seconds since the start.
const FAULT: std::ops::Range<u64> = 900..1080;

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(START + second)
}

/// A page each five seconds: forty requests a second on two routes, of which the first is slow during the fault.
fn pages(seconds: u64) -> Vec<Taken> {
    let name = "http_server_request_duration_seconds";
    let mut counts = [[0_u64; 2]; 2];
    let mut random = 7_u64;
    let mut pages = Vec::new();
    for second in 0..seconds {
        for (route, [fast, slow]) in counts.iter_mut().enumerate() {
            for _ in 0..20 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let limit = if route == 0 && FAULT.contains(&second) { 40 } else { 1 };
                *(if (random >> 33) % 100 < limit { &mut *slow } else { &mut *fast }) += 1;
            }
        }
        if second % 5 == 4 {
            let mut text = format!("process_start_time_seconds {}\n# TYPE {name} histogram\n", START - 100);
            for (route, [fast, slow]) in ["/cart", "/search"].iter().zip(counts) {
                let labels =
                    format!("http_request_method=\"GET\",http_route=\"{route}\",http_response_status_code=\"200\"");
                for (bound, count) in [("0.1", fast), ("0.5", fast), ("1", fast + slow), ("+Inf", fast + slow)] {
                    text.push_str(&format!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}\n"));
                }
                text.push_str(&format!("{name}_sum{{{labels}}} {}\n", fast as f64 * 0.05 + slow as f64 * 0.7));
            }
            let page = Page { bytes: text.into_bytes(), format: Format::Text, cut_samples: 0 };
            pages.push(Taken { at: at(second), target: "shop:9464".to_owned(), page: Ok(page) });
        }
    }
    pages
}

fn play(pages: impl IntoIterator<Item = Taken>) -> (Vec<Episode>, Played) {
    let mut player = Player::new(&Settings::default());
    let mut found: Vec<_> = pages.into_iter().flat_map(|taken| player.play(taken)).collect();
    let (open, played) = player.finish();
    found.extend(open);
    (found, played)
}

fn report(pages: impl IntoIterator<Item = Taken>) -> String {
    let (episodes, played) = play(pages);
    let found: Vec<_> = episodes.into_iter().map(|episode| Found::new(episode, None)).collect();
    json(&found, &Summary::of(&found, &played), None)
}

#[test]
fn a_fault_is_one_incident_with_its_onset_and_pictures() {
    let (episodes, played) = play(pages(1800));
    let [episode] = episodes.as_slice() else { panic!("{episodes:?}") };
    let told = &episode.told;
    assert_eq!(
        (told.target.as_str(), told.state.as_str(), told.routes.len()),
        ("shop:9464", "resolved", 1),
        "{told:?}"
    );
    let onset = told.started_at.0.duration_since(at(0)).unwrap().as_secs();
    assert!((FAULT.start - 10..FAULT.start + 10).contains(&onset), "onset {onset}");
    assert!(told.detected_at.0 > told.started_at.0 && told.detected_at.0 <= at(FAULT.start + 30), "{told:?}");
    assert_eq!((played.pages, played.failures, played.dropped), (360, 0, 0));
    let target = &played.targets["shop:9464"];
    assert_eq!((target.routes, target.warming_up, target.watched), (2, 0, 1795.0));
    let scene = &episode.scenes[0];
    assert_eq!((scene.route.as_str(), episode.scenes.len()), ("GET /cart", 1));
    assert!(scene.over_time().unwrap().contains("detected 12:15:"), "{scene:?}");
    assert!(scene.distribution().unwrap().contains("500 ms to 1 s"));
}

#[test]
fn the_report_says_it_and_is_the_same_each_time() {
    let (episodes, played) = play(pages(1800));
    let found: Vec<_> = episodes.into_iter().map(|episode| Found::new(episode, None)).collect();
    let line = found[0].to_string();
    assert!(line.contains("shop:9464 GET /cart slower than usual, p95 ") && line.contains("cause "), "{line}");
    let summary = Summary::of(&found, &played).to_string();
    assert!(summary.starts_with("29m 55s of 1 target watched: 360 pages, 2 routes, "), "{summary}");
    assert_eq!(report(pages(1800)), report(pages(1800)));
}

#[test]
fn what_runs_live_and_what_is_replayed_agree() {
    let settings = Settings { targets: vec!["shop:9464".parse::<Address>().unwrap()], ..Settings::default() };
    let mut live = State::new(&settings);
    for taken in pages(1800) {
        let since = taken.at.duration_since(at(0)).unwrap();
        let page = taken.page.map_err(ScrapeError::Connection);
        // A live agent's clocks run on by themselves.
        let started = live.started + Duration::from_secs(77) + since;
        live.absorb_scrape(0, &Scrape { started, at: taken.at, took: Duration::from_millis(3), page });
    }
    let live = serde_json::to_value(live.incidents.view(10)).unwrap();
    let (episodes, _) = play(pages(1800));
    let replayed: Vec<_> = episodes.into_iter().map(|episode| episode.json).collect();
    assert_eq!(live["incidents"], serde_json::Value::from(replayed));
}

#[test]
fn gaps_failures_and_disorder_are_no_incidents() {
    let mut all = pages(900);
    // Ten minutes that nobody recorded, then failures, then a page from before.
    all.retain(|taken| !(at(200)..at(800)).contains(&taken.at));
    for second in 900..920 {
        all.push(Taken { at: at(second), target: "shop:9464".to_owned(), page: Err("no answer".to_owned()) });
    }
    all.extend(pages(10));
    let (episodes, played) = play(all);
    assert!(episodes.is_empty(), "{episodes:?}");
    assert_eq!((played.failures, played.dropped), (20, 2));
    let watched = played.targets["shop:9464"].watched;
    assert!(watched < 320.0, "what nobody saw is not watched: {watched}");
}

#[test]
fn a_damaged_time_costs_its_page_at_most() {
    let (day, years) = (Duration::from_secs(86_400), Duration::from_secs(254 * 365 * 86_400));
    for (page, ahead, counted) in [
        (0, years, (360, 0, 1)),
        (100, years, (359, 1, 0)),
        (100, 10 * day, (359, 1, 0)),
        // As long as nobody might have looked: until others follow one another, it may be right.
        (100, day / 8, (360, 0, 1)),
    ] {
        let mut all = pages(1800);
        all[page].at += ahead;
        let (episodes, played) = play(all);
        assert_eq!((played.pages, played.dropped, played.turns), counted, "page {page} {ahead:?} ahead");
        assert_eq!(episodes.len(), 1, "page {page} {ahead:?} ahead: {episodes:?}");
        let target = &played.targets["shop:9464"];
        assert!(target.watched > 1780.0, "{target:?}");
        let (from, to) = (target.from - START as f64, target.to - START as f64);
        assert!(
            (0.0..20.0).contains(&from) && (1790.0..1800.0).contains(&to),
            "page {page} {ahead:?} ahead: {target:?}"
        );
    }
    // A clock that was set back for good.
    let mut all = pages(1800);
    all[..60].iter_mut().for_each(|taken| taken.at += 30 * day);
    let (episodes, played) = play(all);
    assert_eq!((played.pages, played.dropped, played.turns, episodes.len()), (360, 0, 1, 1));
    let summary = Summary::of(&[], &played).to_string();
    assert!(summary.contains("\nthe time of a target went back once; it was taken up anew there\n"), "{summary}");
}

#[test]
fn histograms_without_buckets_are_complained_of() {
    let name = "http_server_request_duration_seconds";
    let bare = |second: u64| {
        let text = format!("# TYPE {name} histogram\n{name}_sum 1\n{name}_count {}\n", second + 1);
        let page = Page { bytes: text.into_bytes(), format: Format::Text, cut_samples: 0 };
        Taken { at: at(second), target: "shop:9464".to_owned(), page: Ok(page) }
    };
    let complaint = "histograms without buckets on 2 pages";
    let (_, played) = play([0, 5, 10].map(bare));
    let summary = Summary::of(&[], &played).to_string();
    assert!(summary.contains(complaint), "{summary}");
    // An agent asks for native buckets once it has seen one such page.
    let all = [bare(0)]
        .into_iter()
        .chain(pages(60).into_iter().map(|page| Taken { at: page.at + Duration::from_secs(60), ..page }));
    let (_, played) = play(all);
    assert_eq!((played.pages, played.bare), (13, 0));
}

#[test]
fn an_incident_that_goes_on_at_the_end_is_told_as_open() {
    let (episodes, _) = play(pages(1000));
    assert_eq!(episodes.len(), 1);
    assert_eq!(episodes[0].told.state, "open");
    assert!(episodes[0].scenes[0].over_time().unwrap().contains("onset 12:1"));
}

#[test]
fn faults_are_found_missed_and_made_up() {
    let found: Vec<_> = play(pages(1800)).0.into_iter().map(|episode| Found::new(episode, None)).collect();
    let (from, to) = (START as f64, START as f64 + 1800.0);
    let right = r#"{"id":"a","kind":"slow","routes":["/cart"],"cause":"dependency","start":"2026-11-21T12:15:00Z","end":null}
        {"id":"b","routes":["/search"],"start":"2026-11-21T12:25:30Z","end":"2026-11-21T12:26:00Z"}
        {"id":"a","kind":"slow","routes":["/cart"],"cause":"dependency","start":"2026-11-21T12:15:00Z","end":"2026-11-21T12:18:00Z"}
        {"id":"c","start":"2026-11-21T18:00:00Z"}"#;
    let score = truth::score(&truth::read(right).unwrap(), &found, from, to).to_string();
    assert!(score.contains("found  2026-11-21T12:15:00Z slow /cart: after "), "{score}");
    assert!(score.contains("missed 2026-11-21T12:25:30Z  /search\n"), "{score}");
    assert!(score.contains("1 of 2 faults found") && score.ends_with("; 0 false alarms"), "{score}");
    let score = truth::score(&[], &found, from, to).to_string();
    assert!(score.contains(&format!("false alarm: incident {}", found[0].told.id)), "{score}");
    assert!(truth::read("{\"id\":1}").unwrap_err().starts_with("line 1: "));
}

#[test]
fn files_are_read_side_by_side_and_up_to_where_they_are_torn() {
    let folder = outrigger_testkit::Folder::new("replay");
    let (mut even, mut odd) = (Vec::new(), Vec::new());
    for (number, taken) in pages(1800).iter().enumerate() {
        recording::write(if number % 2 == 0 { &mut even } else { &mut odd }, taken, number % 2 == 0).unwrap();
    }
    folder.write("even.pages.gz", &even);
    folder.write("odd.pages", &odd);
    let mut files = Files::open(&[folder.path().to_owned()]).unwrap();
    assert_eq!(report(files.by_ref()), report(pages(1800)));
    assert!(files.complaints.is_empty(), "{:?}", files.complaints);

    folder.write("odd.pages", &odd[..odd.len() - 40]);
    folder.write("other.txt", "a 1\n");
    let mut files = Files::open(&[folder.path().to_owned()]).unwrap();
    assert_eq!(files.by_ref().count(), 359);
    assert!(
        files
            .complaints
            .iter()
            .any(|line| line.contains("odd.pages: it breaks off within a page; 179 pages of it were read")),
        "{:?}",
        files.complaints
    );
    assert!(
        files.complaints.iter().any(|line| line.contains("other.txt: `a 1` is no beginning")),
        "{:?}",
        files.complaints
    );
}

proptest! {
    #[test]
    fn no_pages_break_it(pages in proptest::collection::vec((
        0..40_u8,
        0..253_402_300_799_u64,
        any::<bool>(),
        "[ab]{1}:[0-9]{1,2}|\\PC{0,6}",
        prop_oneof![Just(None), "(http_server_request_duration_seconds_bucket\\{le=\"(1|2|\\+Inf)\"\\} [0-9e]{1,5}\n){0,4}".prop_map(Some)],
    ), 0..30)) {
        let mut time = 0;
        let all = pages.into_iter().map(|(step, anywhen, jumps, target, text)| {
            time = if jumps { anywhen } else { time + u64::from(step) };
            let text = text.map(|text| format!("# TYPE http_server_request_duration_seconds histogram\n{text}"));
            let page = text.map(|text| Page { bytes: text.into_bytes(), format: Format::Text, cut_samples: 0 });
            Taken { at: UNIX_EPOCH + Duration::from_secs(time), target, page: page.ok_or_else(String::new) }
        });
        let (episodes, played) = play(all);
        for episode in &episodes {
            crate::picture::incident::page(&episode.told, &episode.scenes, "x");
        }
        prop_assert!(played.targets.values().all(|target| target.watched.is_finite()));
    }
}
