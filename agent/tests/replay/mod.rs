//! `outrigger record` and `outrigger replay` as their users meet them, with a real Prometheus.

use std::path::Path;
use std::time::Duration;

use outrigger_testkit::http::{Request, Response, Server};
use outrigger_testkit::{Finished, Folder, Prometheus, PrometheusConfig, wait_until};

use crate::support::{DEADLINE, Service, outrigger, shop};

fn run(args: &[&str]) -> Finished {
    outrigger().args(args).run(DEADLINE)
}

fn json(finished: &Finished) -> serde_json::Value {
    assert!(finished.status.success(), "{}", finished.log);
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.stdout))
}

/// Half an hour of a page every five seconds, of which three minutes are slow, as a recording; and its truth.
fn recording(folder: &Folder) -> (String, String) {
    let (mut fast, mut slow, mut text) = (0, 0, String::new());
    for number in 0..360_u32 {
        let is_slow = (180..216).contains(&number);
        // Never quite the same.
        let (more, lame) = (95 + number * 7 % 11, if is_slow { 60 } else { number % 2 });
        (fast, slow) = (fast + more, slow + lame);
        let page = shop(1_795_262_000, fast, slow);
        let time = 1_795_262_400 + 5 * number;
        text.push_str(&format!("# outrigger-page {time}.250 shop:9464 {} text/plain\n{page}\n", page.len()));
    }
    let truth = r#"{"id":"1","kind":"slow-dependency","routes":["/products/{id}"],"cause":"dependency","start":"2026-11-21T12:15:00Z","end":"2026-11-21T12:18:00Z"}"#;
    let path = |name, text: &str| folder.write(name, text).to_string_lossy().into_owned();
    (path("shop.pages", &text), path("truth.jsonl", truth))
}

#[test]
fn a_recording_is_judged_and_pictured() {
    let folder = Folder::new("replay");
    let (pages, truth) = recording(&folder);
    let out = folder.path().join("pictures").to_string_lossy().into_owned();
    let finished = run(&["replay", &pages, "--truth", &truth, "--out", &out]);
    assert!(finished.status.success(), "{}", finished.log);
    let text = &finished.stdout;
    assert!(text.contains("shop:9464 GET /products/{id} slower than usual, p95 "), "{text}");
    assert!(text.contains("found  2026-11-21T12:15:00Z slow-dependency /products/{id}: after "), "{text}");
    assert!(text.contains("1 of 1 faults found") && text.contains("; 0 false alarms"), "{text}");
    assert!(finished.log.contains("pages per second"), "{}", finished.log);

    let all = json(&run(&["replay", &pages, "--truth", &truth, "--out", &out, "--json"]));
    assert_eq!(
        (&all["version"], &all["summary"]["pages"], &all["summary"]["incidents"]),
        (&1.into(), &360.into(), &1.into())
    );
    assert_eq!(all["truth"]["found"], 1);
    let page = all["incidents"][0]["page"].as_str().unwrap();
    let read = |name: &str| std::fs::read_to_string(Path::new(&out).join(name)).unwrap();
    assert!(read("index.html").contains(&format!("href=\"{page}\"")));
    assert!(read(page).contains("Latency of GET /products/{id} over time"));
    folder.write("pictures/index.html", "<h1>My site</h1>");
    let refused = run(&["replay", &pages, "--out", &out]);
    assert!(refused.log.contains("its index.html is of another kind"), "{}", refused.log);
}

#[test]
fn what_prometheus_scraped_is_replayed_as_it_was() {
    let service = Service::start(&shop(1000, 10, 0));
    let Some(prometheus) = Prometheus::start(PrometheusConfig::new().scrape("shop", &service.target)) else { return };
    prometheus.wait_value(DEADLINE, "up", |up| up == 1.0);
    service.show(&shop(1000, 25, 2));
    let counted = "sum(http_server_request_duration_seconds_count)";
    prometheus.wait_value(DEADLINE, counted, |count| count == 27.0);
    service.show(&shop(1100, 4, 0));
    prometheus.wait_value(DEADLINE, counted, |count| count == 4.0);

    let folder = Folder::new("replay");
    let save = folder.path().join("kept.pages.gz").to_string_lossy().into_owned();
    let url = prometheus.url();
    let matcher = ["--match", "{job=\"shop\"}"];
    let asked =
        [&["replay", "--prometheus", &url, "--start", "-10m", "--json", "--save", &save], &matcher[..]].concat();
    let live = json(&run(&asked));
    assert_eq!(live["summary"]["requests"], 21, "17 more, then a restart and 4: {live:#}");
    assert_eq!((&live["summary"]["targets"], &live["summary"]["routes"]), (&1.into(), &1.into()));
    assert!(live["summary"]["pages"].as_u64().unwrap() >= 3, "{live:#}");
    assert_eq!(json(&run(&["replay", &save, "--json"])), live, "what was kept is the same");

    let grid = [&["replay", "--prometheus", &url, "--start", "-1m", "--step", "1s", "--json"], &matcher[..]].concat();
    // The grid may end before the last scrape.
    wait_until(DEADLINE, "the same requests on a grid", || json(&run(&grid))["summary"]["requests"] == 21);

    let wrong = run(&["replay", "--prometheus", &url, "--metric", "http_request_duration_seconds"]);
    assert_eq!(wrong.status.code(), Some(1));
    let told = "there is no http_request_duration_seconds between ";
    assert!(wrong.log.contains(told) && wrong.log.contains("http_server_request_duration_seconds"), "{}", wrong.log);
    assert!(run(&asked).log.contains("kept.pages.gz: cannot be written: "), "it is kept");
    let wrong = run(&["replay", "--prometheus", &url, "--match", "job="]);
    assert!(wrong.log.contains("answered 400 Bad Request: ") && wrong.log.contains("parse error"), "{}", wrong.log);
    let wrong = run(&["replay", "--prometheus", &format!("http://{}", service.target)]);
    assert!(wrong.log.contains("none of a Prometheus server"), "{}", wrong.log);
}

/// As a Prometheus server answers that scraped one target, and has the samples of the first half hour only.
fn half_a_server(request: &Request) -> Response {
    if request.path.contains("/label/") {
        return Response::plain(200, r#"{"data":["shop"]}"#);
    }
    let form = request.text();
    if !form.contains("time=1795264200.000") {
        return Response::plain(500, r#"{"error":"the disk is gone"}"#);
    }
    let series = |name: &str, le: &str, values: &str| {
        let labels = r#""job":"shop","instance":"shop","http_route":"/","http_request_method":"GET""#;
        format!(r#"{{"metric":{{"__name__":"{name}",{labels},"le":"{le}"}},"values":[{values}]}}"#)
    };
    let bucket = "http_server_request_duration_seconds_bucket";
    let result = if form.starts_with("query=up") {
        series("up", "", r#"[1795262405,"1"],[1795262410,"1"]"#)
    } else {
        ["1", "+Inf"].map(|le| series(bucket, le, r#"[1795262405,"1"],[1795262410,"8"]"#)).join(",")
    };
    Response::plain(200, format!(r#"{{"data":{{"result":[{result}]}}}}"#))
}

#[test]
fn what_a_failing_server_gave_is_told_and_kept() {
    let server = Server::start(half_a_server);
    let folder = Folder::new("replay");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (out, save, part) = (path("pictures"), path("kept.pages.gz"), path("kept.pages.gz.part"));
    let url = server.url("");
    let span = ["--start", "1795262400", "--end", "1795266000"];
    let asked = [&["replay", "--prometheus", &url, "--out", &out, "--save", &save][..], &span[..]].concat();
    // A second time too: what came is no obstacle.
    for _ in 0..2 {
        let finished = run(&asked);
        assert_eq!(finished.status.code(), Some(1), "{}", finished.log);
        assert!(finished.log.contains("answered 500 Internal Server Error: the disk is gone"), "{}", finished.log);
        assert!(finished.log.contains("kept.pages.gz.part: the pages that came are kept there"), "{}", finished.log);
        assert!(finished.stdout.contains(": 2 pages, 1 route, 7 requests"), "{}", finished.stdout);
        assert!(finished.stdout.contains("not the whole time that was asked for: http"), "{}", finished.stdout);
        assert!(!Path::new(&save).exists());
    }
    let index = std::fs::read_to_string(Path::new(&out).join("index.html")).unwrap();
    assert!(index.contains("the disk is gone"), "{index}");
    assert_eq!(json(&run(&["replay", &part, "--json"]))["summary"]["requests"], 7);
}

#[test]
fn labels_do_not_steer_the_terminal() {
    let folder = Folder::new("replay");
    let (mut fast, mut slow, mut text) = (0, 0, String::new());
    for number in 0..300_u32 {
        (fast, slow) = (fast + 95 + number * 7 % 11, slow + if number > 240 { 60 } else { number % 2 });
        let page = shop(1_795_262_000, fast, slow).replace("/products", "/\u{1b}[2J\u{9b}1m");
        let time = 1_795_262_400 + 5 * number;
        text.push_str(&format!("# outrigger-page {time} sh\u{1b}[31mop {} text/plain\n{page}\n", page.len()));
    }
    text.push_str("# no\u{1b}[0m record\n");
    let path = folder.write("shop.pages", &text).to_string_lossy().into_owned();
    let steers = |text: &str| text.chars().any(|sign| sign.is_control() && sign != '\n');
    let finished = run(&["replay", &path]);
    assert!(finished.stdout.contains("sh\u{fffd}[31mop GET /\u{fffd}[2J\u{fffd}1m/{id} slower"), "{:?}", finished.log);
    assert!(finished.log.contains("`# no\u{fffd}[0m record` is no beginning"), "{:?}", finished.log);
    assert!(!steers(&finished.log), "{:?}", finished.log);
    let finished = run(&["replay", &path, "--json"]);
    assert!(!steers(&finished.stdout), "{:?}", finished.stdout);
    assert_eq!(json(&finished)["incidents"][0]["target"], "sh\u{1b}[31mop", "and nothing is lost");
}

#[test]
fn pages_are_recorded_and_recording_goes_on() {
    let service = Service::start(&shop(1000, 10, 0));
    let folder = Folder::new("record");
    for name in ["plain.pages", "small.pages.gz"] {
        let out = folder.path().join(name).to_string_lossy().into_owned();
        let record = ["record", "--target", &service.target, "--interval", "1s", "--for", "900ms", "--out", &out];
        for round in 1..=2 {
            let finished = run(&record);
            assert!(
                finished.status.success() && finished.log.contains(": 1 pages and 0 failed scrapes in "),
                "{}",
                finished.log
            );
            assert_eq!(json(&run(&["replay", &out, "--json"]))["summary"]["pages"], round);
        }
        let bytes = std::fs::read(&out).unwrap();
        folder.write(name, &bytes[..bytes.len() - 20]);
        let torn = run(&record);
        assert_eq!(torn.status.code(), Some(1));
        assert!(
            torn.log.contains("breaks off within a page; 1 pages of it were read. Record into another file"),
            "{}",
            torn.log
        );
        assert_eq!(std::fs::metadata(&out).unwrap().len(), bytes.len() as u64 - 20, "it is left alone");
    }
}

#[test]
fn what_cannot_be_replayed_is_told() {
    for (args, told) in [
        (&["replay", "/no/such.pages"][..], "/no/such.pages: cannot be read: "),
        (&["replay", "/dev/null"], "there was no page to replay"),
        (&["replay", "--prometheus", "http://127.0.0.1:1", "--start", "soon"], "--start: `soon` is no time"),
        (&["replay", "--prometheus", "http://127.0.0.1:1", "--start", "now"], "--start lies behind --end"),
        (&["replay", "--prometheus", "http://127.0.0.1:1"], "http://127.0.0.1:1/: "),
        (&["replay", "--metric", "a b", "/dev/null"], "--metric: `a b` is no name"),
        (&["replay", "--config", "/no/such.toml", "/dev/null"], "/no/such.toml: cannot be read: "),
    ] {
        let finished = outrigger().args(args).run(Duration::from_secs(30));
        assert_eq!(finished.status.code(), Some(1), "{args:?}");
        assert!(finished.log.contains(told), "{args:?}: {}", finished.log);
    }
    assert_eq!(run(&["replay"]).status.code(), Some(2));
    assert!(
        run(&["replay", "--help"]).stdout.contains("outrigger replay --prometheus http://127.0.0.1:9090 --start -6h")
    );
}
