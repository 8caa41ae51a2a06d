//! The command line, as its users meet it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use outrigger_testkit::{Finished, Folder, Signal, free_port};
use support::{Agent, DEADLINE, Service, outrigger, shop};

fn run(args: &[&str]) -> Finished {
    outrigger().args(args).run(DEADLINE)
}

fn check(toml: &str) -> (Finished, String) {
    let folder = Folder::new("check");
    let file = folder.write("outrigger.toml", toml);
    let path = file.to_string_lossy().into_owned();
    (run(&["check", &path]), path)
}

#[test]
fn check_prints_what_a_file_means() {
    let (finished, path) = check("interval = \"2s\"\n\n[otlp]\nendpoint = \"http://collector:4318\"\n");
    assert!(finished.status.success(), "{}", finished.log);
    let line = |key: &str| finished.stdout.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(line("interval").contains("interval = \"2s\"") && line("interval").contains(&format!("# {path}:1;")));
    assert!(line("otlp.endpoint").contains("\"http://collector:4318/v1/metrics\""), "{}", finished.stdout);
    assert!(
        line("listen ").contains("\"127.0.0.1:9465\"") && line("listen ").contains("# default;"),
        "{}",
        finished.stdout
    );
}

#[test]
fn check_names_file_line_key_and_fix() {
    let (finished, path) = check("# shop\nintervall = \"2s\"\nlisten = \"0.0.0.0:1\"\n[otlp]\ntimeout = 3\n");
    assert_eq!(finished.status.code(), Some(1));
    let expected = [
        format!("{path}:2: unknown key `intervall`; did you mean `interval`?"),
        format!("{path}:5: otlp.timeout: `3` has no unit; write a duration such as \"3s\""),
    ];
    assert_eq!(finished.log.lines().collect::<Vec<_>>(), expected);

    let (finished, path) = check("interval = \"2s\n");
    assert!(finished.log.starts_with(&format!("{path}:1: ")), "{}", finished.log);
    let missing = run(&["check", "/no/such/file.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(missing.log.starts_with("/no/such/file.toml: cannot be read: "), "{}", missing.log);
}

#[test]
fn help_shows_examples() {
    for args in [&["--help"][..], &["run", "--help"]] {
        let finished = run(args);
        assert!(finished.status.success() && finished.stdout.contains("outrigger run --target"), "{}", finished.stdout);
    }
    assert!(run(&["--version"]).stdout.starts_with("outrigger 0."));
}

#[test]
fn a_taken_port_is_an_error_that_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = run(&["run", "--listen", &address]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(
        finished.log.contains(&format!("{address} is taken")) && finished.log.contains("--listen"),
        "{}",
        finished.log
    );
}

#[test]
fn the_page_is_not_opened_to_the_network_by_accident() {
    let address = format!("0.0.0.0:{}", free_port());
    let finished = run(&["run", "--listen", &address]);
    assert_eq!(finished.status.code(), Some(1));
    assert!(finished.log.contains("--listen-unprotected"), "{}", finished.log);
}

#[test]
fn variables_are_read_and_flags_win() {
    let service = Service::start(&shop(1000, 0, 0));
    let address = format!("127.0.0.1:{}", free_port());
    let process = outrigger()
        .args(["run", "--interval", "1s"])
        .env("OUTRIGGER_LISTEN", &address)
        .env("OUTRIGGER_INTERVAL", "60s")
        .env("OUTRIGGER_TARGETS", &service.target)
        .start();
    process.wait_url(DEADLINE, &format!("http://{address}/-/ready"));
    let status = outrigger_testkit::http::get(&format!("http://{address}/api/v1/status")).unwrap().json();
    assert_eq!(status["interval_seconds"], 1.0);
    assert_eq!(status["targets"][0]["target"], service.target);

    let wrong = outrigger().args(["run"]).env("OUTRIGGER_INTERVAL", "often").run(DEADLINE);
    assert!(wrong.log.starts_with("OUTRIGGER_INTERVAL: `often` is no duration"), "{}", wrong.log);
}

#[cfg(unix)]
#[test]
fn variables_that_are_no_text_stop_the_agent_only_if_they_are_its_own() {
    use std::os::unix::ffi::OsStrExt as _;
    let no_text = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let service = Service::start(&shop(1000, 0, 0));
    let address = format!("127.0.0.1:{}", free_port());
    let process = outrigger()
        .args(["run", "--interval", "1s", "--listen", &address, "--target", &service.target])
        .env("STRANGER", no_text)
        .start();
    process.wait_url(DEADLINE, &format!("http://{address}/-/ready"));

    for name in ["OUTRIGGER_INTERVAL", "OTEL_EXPORTER_OTLP_HEADERS"] {
        let finished = outrigger().arg("run").env(name, no_text).run(DEADLINE);
        assert_eq!(finished.status.code(), Some(1));
        assert_eq!(
            finished.log.trim_end(),
            format!("{name}: the value is not UTF-8; set it to plain text, or unset it")
        );
    }
}

#[test]
fn a_reload_changes_all_or_nothing() {
    let (first, second) = (Service::start(&shop(1000, 1, 0)), Service::start(&shop(1000, 2, 0)));
    let folder = Folder::new("reload");
    let write = |text: &str| folder.write("outrigger.toml", text).to_string_lossy().into_owned();
    let both = format!("targets = ['{}', '{}']", first.target, second.target);
    let path = write(&format!("targets = ['{}']", first.target));
    let agent = Agent::start(&[], &["--config", &path]);
    let scrapes = |agent: &Agent, service: &Service| {
        agent.value("outrigger_scrapes_total", &[("target", &service.target), ("outcome", "success")])
    };
    agent.wait("two pages", |agent| scrapes(agent, &first) >= 2.0);
    assert_eq!(agent.value("outrigger_config_reload_success", &[]), 1.0);
    let url = format!("{}/-/reload", agent.url);
    let reload = || outrigger_testkit::http::post(&url, "", "").unwrap();

    write("targets = ['nowhere']\nintervall = '2s'");
    let before = scrapes(&agent, &first);
    let answer = reload();
    assert_eq!(answer.status, 400);
    let expected = [format!("{path}:1: targets: `nowhere`"), format!("{path}:2: unknown key `intervall`")];
    assert!(expected.iter().all(|line| answer.text().contains(line)), "{}", answer.text());
    assert_eq!(agent.value("outrigger_config_reload_success", &[]), 0.0);
    agent.wait("the old settings at work", |agent| scrapes(agent, &first) > before);

    write(&format!("{both}\nlog = 'debug'\nlisten = '127.0.0.1:1'\ndata_dir = '/elsewhere'"));
    let answer = outrigger_testkit::http::request("POST", &url, &[("origin", "http://a")], b"", DEADLINE).unwrap();
    assert_eq!(answer.status, 403, "a browser's request from another site");
    assert_eq!((reload().status, agent.value("outrigger_config_reload_success", &[])), (200, 1.0));
    agent.wait("the new target", |agent| scrapes(agent, &second) >= 2.0 && scrapes(agent, &first) > before);

    write(&format!("targets = ['{}']", second.target));
    agent.process.signal(Signal::Hup);
    agent.wait("the first target to go", |agent| {
        agent.get("/api/v1/status").json()["targets"].as_array().unwrap().len() == 1 && scrapes(agent, &second) >= 3.0
    });
    assert_eq!(agent.process.stop(DEADLINE).and_then(|status| status.code()), Some(0));
}

#[test]
fn health_is_an_exit_code() {
    let service = Service::start(&shop(1000, 0, 0));
    let agent = Agent::start(&[&service.target], &[]);
    let healthy = run(&["health", "--url", &format!("{}/-/healthy", agent.url)]);
    assert!(healthy.status.success() && healthy.log.is_empty(), "{}", healthy.log);
    let address = agent.url.trim_start_matches("http://").to_owned();
    assert!(outrigger().arg("health").env("OUTRIGGER_LISTEN", &address).run(DEADLINE).status.success());

    assert_eq!(agent.process.stop(DEADLINE).and_then(|status| status.code()), Some(0));
    let gone = run(&["health", "--url", &format!("{}/-/healthy", agent.url)]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(gone.log.contains("/-/healthy: "), "{}", gone.log);
}

#[test]
fn a_dead_endpoint_does_not_hold_the_end_up() {
    // Accepts connections and never answers: the worst kind.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", dead.local_addr().unwrap());
    let service = Service::start(&shop(1000, 0, 0));
    let agent = Agent::start(&[&service.target], &["--otlp-endpoint", &endpoint]);
    agent.wait("a push under way", |agent| agent.value("outrigger_scrapes_total", &[("outcome", "success")]) >= 2.0);
    let asked = Instant::now();
    agent.process.signal(Signal::Term);
    assert!(agent.process.wait_exit(DEADLINE).success());
    // The promise is a tenth of a second; a busy machine gets thirty. The push itself would take ten seconds.
    assert!(asked.elapsed() < Duration::from_secs(3), "it took {:?}", asked.elapsed());
}

#[test]
fn detect_answers_each_row_and_names_what_it_cannot_read() {
    let input = b"timestamp,le_0.1,le_+Inf,sum\n1767225600,1,2,0.3\n1767225605,4,6,0.9\n";
    let detect = outrigger().args(["detect", "hist"]);
    let finished = detect.run_with_input(input, DEADLINE);
    assert!(finished.status.success(), "{}", finished.log);
    assert_eq!(finished.stdout, "1767225600,0.0000,0\n1767225605,0.0000,0\n");

    let finished = detect.run_with_input(&[&input[..], b"1767225610,9,seven,1\n"].concat(), DEADLINE);
    assert_eq!(finished.status.code(), Some(1));
    assert_eq!(finished.stdout.lines().count(), 2);
    let mistake = "stdin:4: column 3: `seven` is no number; write one such as 12.5";
    // The log holds both streams as they came, which may be in either order.
    assert!(finished.log.lines().any(|line| line == mistake), "{}", finished.log);

    let help = run(&["detect", "hist", "--help"]);
    assert!(help.stdout.contains("outrigger detect hist < route.csv"), "{}", help.stdout);
}

#[test]
fn a_reload_sets_no_counter_of_pushes_back() {
    let folder = Folder::new("pushes");
    // Nothing listens at the first address, and nobody answers at the second.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let write = |endpoint: String| {
        folder.write("outrigger.toml", format!("[otlp]\nendpoint = 'http://{endpoint}'\ntimeout = '2m'\n"))
    };
    let file = write(format!("127.0.0.1:{}", free_port()));
    let service = Service::start(&shop(1, 1, 0));
    let agent = Agent::start(&[&service.target], &["--config", &file.to_string_lossy()]);
    let failures = |agent: &Agent| agent.value("outrigger_otlp_exports_total", &[("outcome", "failure")]);
    agent.wait("failures", |agent| failures(agent) >= 2.0);
    write(silent.local_addr().unwrap().to_string());
    let answer = outrigger_testkit::http::post(&format!("{}/-/reload", agent.url), "", "").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(failures(&agent) >= 2.0, "{}", failures(&agent));
}
