//! Settings from all four places, and what is said of wrong ones.

use super::*;

/// The settings and origins that a file, some variables and some flags give together.
fn load(toml: &str, env: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Loaded, ConfigError> {
    let lookup = |name: &str| env.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
    Loaded::load(&Sources {
        file: Some(ConfigFile { path: "o.toml".into(), text: toml.to_owned() }),
        env: Some(&lookup),
        flags: flags.iter().map(|(key, value)| (*key, Value::Text((*value).to_owned()))).collect(),
    })
}

fn error(toml: &str) -> String {
    load(toml, &[], &[]).unwrap_err().to_string()
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let file = "interval = '2s'";
    let env = [("OUTRIGGER_INTERVAL", "3s")];
    assert_eq!(load("", &[], &[]).unwrap().settings.interval, Duration::from_secs(5));
    assert_eq!(load(file, &[], &[]).unwrap().settings.interval, Duration::from_secs(2));
    assert_eq!(load(file, &env, &[]).unwrap().settings.interval, Duration::from_secs(3));
    assert_eq!(load(file, &env, &[("interval", "4s")]).unwrap().settings.interval, Duration::from_secs(4));
}

#[test]
fn an_unknown_key_is_an_error_with_its_line_and_the_nearest_key() {
    assert_eq!(error("\n# why\nintervall = '1s'"), "o.toml:3: unknown key `intervall`; did you mean `interval`?");
    assert_eq!(error("[otlp]\nendpont = 'x'"), "o.toml:2: unknown key `otlp.endpont`; did you mean `otlp.endpoint`?");
    assert!(error("zzzzz = 1").starts_with("o.toml:1: unknown key `zzzzz`; the keys are: targets, interval,"));
}

#[test]
fn bad_values_name_the_line_the_key_and_the_fix() {
    let cases = [
        ("interval = 5", "o.toml:1: interval: `5` has no unit; write a duration such as \"5s\""),
        ("interval = '90s'", "o.toml:1: interval: 1m 30s is out of range; choose 1s to 1m"),
        ("\nlisten = '9465'", "o.toml:2: listen: `9465` is no address; write one such as 127.0.0.1:9465"),
        ("listen = '0.0.0.0:9465'", "o.toml:1: listen: 0.0.0.0:9465 can be reached from other machines"),
        ("targets = []", "o.toml:1: targets: the list is empty; name at least one target"),
        ("targets = ['a:1', 'http://a:1/metrics']", "o.toml:1: targets: a:1 stands twice; remove one"),
        ("targets = ['localhost']", "o.toml:1: targets: `localhost` names no port; write host:port"),
        ("scrape_timeout = '6s'", "o.toml:1: scrape_timeout: is longer than `interval`"),
        ("page_limit = '5 parsecs'", "o.toml:1: page_limit: `5 parsecs` is no size; write one such as 64MiB"),
        ("log = 'loud'", "o.toml:1: log: `loud` is no log filter; write error, warn, info, debug or trace"),
        ("interval = ['1s']", "o.toml:1: interval: a list stands here; write one value"),
        ("otlp = 3", "o.toml:1: `otlp` is a table; write [otlp] and its keys below it"),
        ("[otlp]\nendpoint = 'collector'", "o.toml:2: otlp.endpoint: `collector` is no http:// or https:// URL"),
        ("interval = ", "o.toml:1: "),
    ];
    for (toml, expected) in cases {
        assert!(error(toml).starts_with(expected), "{toml:?} gave {:?}, not {expected:?}", error(toml));
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = error("interval = '0s'\nlisten = 'x'\nlisden = 'y'");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    let error = load("", &[("OUTRIGGER_OTLP_TIMEOUT", "soon")], &[]).unwrap_err().to_string();
    assert!(error.starts_with("OUTRIGGER_OTLP_TIMEOUT: `soon`"), "{error}");
    let error = load("", &[], &[("listen", "x")]).unwrap_err().to_string();
    assert!(error.starts_with("--listen: `x`"), "{error}");
}

#[test]
fn the_standard_otlp_variables_are_honoured_behind_ours() {
    let endpoint = |env: &[(&str, &str)]| {
        load("", env, &[]).unwrap().settings.otlp.endpoint.map(|uri| uri.to_string()).unwrap_or_default()
    };
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
    let metrics = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:4318/custom");
    let ours = ("OUTRIGGER_OTLP_ENDPOINT", "http://o:4318/v1/metrics");
    assert_eq!(endpoint(&[]), "");
    assert_eq!(endpoint(&[general]), "http://c:4318/v1/metrics");
    assert_eq!(endpoint(&[general, metrics]), "http://m:4318/custom");
    assert_eq!(endpoint(&[general, metrics, ours]), "http://o:4318/v1/metrics");

    let loaded =
        load("", &[("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"), ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%20c,d=e")], &[]);
    let otlp = loaded.unwrap().settings.otlp;
    assert_eq!(otlp.timeout, Duration::from_millis(1500));
    let headers: Vec<_> = otlp.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(headers, [("a", "b c"), ("d", "e")]);
}

#[test]
fn no_error_repeats_a_header() {
    let variables = ["OUTRIGGER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"];
    for text in ["a=b,s3cret", "authorization: Bearer s3cret=", "a=s3cret%0A", "a=s3cret\n"] {
        for variable in variables {
            match load("", &[(variable, text)], &[]) {
                Ok(loaded) => assert!(!loaded.to_string().contains("s3cret"), "{loaded}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.starts_with(&format!("{variable}: ")) && !error.contains("s3cret"), "{error}");
                }
            }
        }
    }
}

#[test]
fn settings_that_code_wrote_are_checked_like_those_of_a_file() {
    type Change = fn(&mut Settings);
    let told = |change: Change| {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().map_err(|error| error.to_string()).err().unwrap_or_default()
    };
    assert_eq!(told(|_| {}), "");
    assert_eq!(told(|settings| settings.listen.set_ip([127, 0, 0, 9].into())), "");
    let listen = told(|settings| settings.listen.set_ip([0, 0, 0, 0].into()));
    assert!(listen.starts_with("settings: listen: 0.0.0.0:9465 can be reached from other machines"), "{listen}");
    let interval = told(|settings| settings.interval = Duration::ZERO);
    assert!(interval.starts_with("settings: interval: 0s is out of range; choose 1s to 1m"), "{interval}");
    let cases: [(&str, Change); 11] = [
        ("save_interval", |settings| settings.save_interval = Duration::ZERO),
        ("incidents.keep", |settings| settings.incidents.keep = 0),
        ("incidents.keep_for", |settings| settings.incidents.keep_for = Duration::MAX),
        ("interval", |settings| settings.interval = Duration::MAX),
        ("scrape_timeout", |settings| settings.scrape_timeout = Some(Duration::ZERO)),
        ("scrape_timeout", |settings| settings.scrape_timeout = Some(Duration::from_secs(6))),
        ("otlp.timeout", |settings| settings.otlp.timeout = Duration::ZERO),
        ("page_limit", |settings| settings.page_limit = 0),
        ("series_limit", |settings| settings.series_limit = usize::MAX),
        ("route_limit", |settings| settings.route_limit = 0),
        ("targets", |settings| settings.targets.clear()),
    ];
    for (key, change) in cases {
        let told = told(change);
        assert!(told.starts_with(&format!("settings: {key}: ")), "{key} gave {told:?}");
    }
}

#[test]
fn check_shows_every_key_with_its_origin_and_hides_secrets() {
    let text = load("interval = '2s'\n[otlp.headers]\nauthorization = 'Bearer x'", &[], &[]).unwrap().to_string();
    assert!(text.contains("interval = \"2s\"") && text.contains("# o.toml:1;"), "{text}");
    assert!(text.contains("listen = \"127.0.0.1:9465\"") && text.contains("# default;"), "{text}");
    assert!(text.contains("authorization") && !text.contains("Bearer"), "{text}");
    assert_eq!(text.lines().count(), KEYS.len());
}

#[test]
fn every_example_of_the_documents_can_be_read() {
    let mut examples = 0;
    for page in ["docs/telling.md", "agent/README.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        for example in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            // Files with secrets are not there.
            let lines: String =
                example.lines().filter(|line| !line.contains("_file")).map(|l| format!("{l}\n")).collect();
            let token = if lines.contains("0.0.0.0") { "api_token = 'a'\n" } else { "" };
            let read = Settings::from_toml(&format!("{token}{lines}"));
            assert!(read.is_ok(), "{page}: {}\n{example}", read.unwrap_err());
            examples += 1;
        }
    }
    assert!(examples >= 9, "{examples}");
}

#[test]
fn rows_are_told_with_their_line_and_the_nearest_key() {
    let cases = [
        (
            "[[tell.route]]\nroute = '/a'\nsevrity = 'critical'",
            "o.toml:1: tell.route: line 3: unknown key `sevrity`; did you mean `severity`?",
        ),
        (
            "[[tell.route]]\nroute = '/a'\nto = ['slak']",
            "o.toml:1: tell.route: line 3: `to` names `slak`; did you mean `slack`?",
        ),
        ("[[tell.route]]\nmute = true", "o.toml:1: tell.route: line 1: the rule says of nothing what it is about"),
        ("[[tell.silence]]\nroute = '*'\nuntil = 'soon'", "o.toml:1: tell.silence: line 3: `until` is no time"),
        ("[[tell.silence]]\nroute = '*'\nfor = '1h'", "o.toml:1: tell.silence: line 3: unknown key `for`"),
        (
            "[tell]\nslack_template = '{{ incident.rote }}'",
            "o.toml:2: tell.slack_template: line 1 of the template: nothing is called `incident.rote`; did you mean `incident.route`?",
        ),
        ("[tell]\nquiet_hours = ['night']", "o.toml:2: tell.quiet_hours: `night` are no hours"),
        ("tell.route = 'a'", "o.toml:1: tell.route: these are tables"),
    ];
    for (toml, expected) in cases {
        assert!(error(toml).starts_with(expected), "{toml:?} gave {:?}, not {expected:?}", error(toml));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = load(&text, &[("OUTRIGGER_TARGETS", &text), ("OUTRIGGER_OTLP_HEADERS", &text)], &[("page_limit", &text)]);
    }

    #[test]
    fn no_value_of_any_key_panics(key in 0..KEYS.len(), value in "\\PC{0,12}|[0-9]{1,30}[a-zA-Z]{0,3}|\\[.{0,9}\\]") {
        let _ = load(&format!("{} = {value}", KEYS[key].name), &[(&KEYS[key].env(), &value)], &[]);
    }
}
