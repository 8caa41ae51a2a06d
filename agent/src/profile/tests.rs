//! Profiles from plan to picture, by a clock that tests turn.

use std::time::UNIX_EPOCH;

use super::compare::Comparison;
use super::growth::Function;
use super::pprof::tests::write::profile;
use super::take::make;
use super::*;
use crate::config::Settings;
use crate::state::world::World;
use crate::store::Memory;

fn compared(before: &[(&str, u64)], during: &[(&str, u64)]) -> Comparison {
    let read = |seconds, stacks| pprof::read(&profile(seconds, stacks)).unwrap();
    let before = if before.is_empty() { Vec::new() } else { vec![read(30.0, before)] };
    Comparison::new(&before, &read(10.0, during))
}

fn grown(comparison: &Comparison) -> Vec<Function> {
    growth::functions(comparison)
}

#[test]
fn the_function_that_grew_is_named_and_not_what_calls_it_or_what_it_calls_alike() {
    let before = [("main;loop;handler;parse", 900), ("main;loop;handler;hash;block", 300), ("main;loop;idle", 600)];
    let during = [
        ("main;loop;handler;parse", 300),
        ("main;loop;handler;hash;block", 3000),
        ("main;loop;handler;hash;pad", 1100),
        ("main;loop;idle", 200),
    ];
    let found = grown(&compared(&before, &during));
    // `hash` branches; `handler`, `loop` and `main` only pass its growth on.
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].name.as_str(), found[0].before, found[0].during), ("hash", Some(0.01), 0.41));
    assert_eq!(found[0].words(), "hash in handler: 1 % -> 41 % of a processor");
}

#[test]
fn a_function_that_calls_itself_counts_once_and_its_leaf_is_named() {
    let found = grown(&compared(&[("main;walk", 300)], &[("main;walk;step;walk;step;walk;visit", 4000)]));
    assert_eq!((found.len(), found[0].name.as_str(), found[0].during), (1, "visit", 0.4), "{found:?}");
    let found = grown(&compared(&[("main;walk", 300)], &[("main;walk;walk;walk", 4000)]));
    assert_eq!((found.len(), found[0].name.as_str(), found[0].during), (1, "walk", 0.4), "{found:?}");
}

#[test]
fn a_common_function_is_named_with_whoever_called_it() {
    let during = [
        ("main;tokio::run;shop::handler;shop::burn;<core::hash::Sip as core::hash::Hasher>::write;memcpy", 4000),
        ("main;tokio::run;shop::other;memcpy", 500),
    ];
    let found = grown(&compared(&[("main;tokio::run", 300)], &during));
    assert_eq!(found[0].words(), "memcpy in shop::burn: 0 % -> 45 % of a processor", "{found:?}");
    let during = [(
        "main;shop::run::{{closure}};{async_fn#0};poll<shop::Burn>;core::iter::next;<u8 as core::fmt::Write>::write",
        4000,
    )];
    let found = grown(&compared(&[("main", 300)], &during));
    let words = found[0].words();
    assert!(
        words.starts_with("<u8 as core::fmt::Write>::write in poll<shop::Burn> in shop::run::{{closure}}: "),
        "{words}"
    );
    let found = grown(&compared(&[("main.main", 300)], &[("main.main;shop.Burn;runtime.memmove", 4000)]));
    assert_eq!(found[0].words(), "runtime.memmove in shop.Burn: 0 % -> 40 % of a processor", "{found:?}");
}

#[test]
fn what_many_call_through_names_without_paths_is_told_with_the_nearest() {
    let stacks =
        [("main;axum::a;burn;write", 2000), ("main;axum::b;burn;write", 1900), ("main;axum::c;other;write", 1800)];
    let found = grown(&compared(&[("main;axum::a", 300)], &stacks));
    assert!(found[0].words().starts_with("write in burn: "), "{found:?}");
}

#[test]
fn code_without_paths_is_told_with_what_was_made_for_it() {
    let pool =
        "tokio::runtime::blocking::pool::Inner::run;poll_inner<tokio::task::Task<shop::inject::{closure_env#0}>>";
    let stack = format!(
        "{pool};poll<shop::inject::{{closure_env#0}}, ()>;{{closure#0}};burn;write_u64<std::hash::Hasher>;write"
    );
    let found = grown(&compared(&[("main", 300)], &[(stack.as_str(), 4000)]));
    assert_eq!((found[0].name.as_str(), &found[0].callers[0][..]), ("write", "burn"), "{found:?}");
    assert!(found[0].callers[1].starts_with("poll<shop::inject"), "{found:?}");
}

#[test]
fn chance_and_trivia_are_not_growth() {
    assert_eq!(grown(&compared(&[("main;work", 3000)], &[("main;work", 1100)])), [], "within chance");
    assert_eq!(grown(&compared(&[("main;work", 300)], &[("main;work", 150)])), [], "half a hundredth of a processor");
    assert_eq!(grown(&compared(&[("main;work", 3000)], &[("main;work", 200)])), [], "less is no growth");
    let several = grown(&compared(&[("main;idle", 30)], &[("main;a", 4000), ("main;b", 2000), ("main;c", 100)]));
    assert_eq!(several.iter().map(|function| function.name.as_str()).collect::<Vec<_>>(), ["main"], "it branches");
}

#[test]
fn without_a_calm_profile_the_busiest_are_named_and_nothing_is_called_growth() {
    let found = grown(&compared(&[], &[("main;a;b", 4000), ("main;c", 100)]));
    assert_eq!((found[0].name.as_str(), found[0].before), ("b", None), "{found:?}");
    let (_, note) = exhibit::make(profile(10.0, &[("main;a;b", 4000)]).into(), &[], UNIX_EPOCH).unwrap();
    assert!(note.culprit().is_none() && note.summary().contains("no calm profile"), "{}", note.summary());
    assert_eq!(note.files, ["profile.pb.gz", "flame.svg"]);
}

#[test]
fn the_difference_is_red_where_more_is_used_by_time_and_blue_where_less() {
    let comparison = compared(
        &[("main;grows", 300), ("main;shrinks", 9000), ("main;stays", 3000)],
        &[("main;grows", 2000), ("main;shrinks", 1000), ("main;stays", 1000)],
    );
    let svg = String::from_utf8(flame::difference(&comparison, "10 s").unwrap()).unwrap();
    let color = |name: &str| {
        let group = &svg[svg.find(&format!("<title>{name} (")).unwrap()..];
        let color = &group[group.find("fill=\"rgb(").unwrap() + 10..];
        color[..color.find(')').unwrap()].to_owned()
    };
    assert!(color("grows").starts_with("255,"), "{}", color("grows"));
    assert!(color("shrinks").ends_with(",255"), "{}", color("shrinks"));
    assert_eq!(color("stays"), "250,250,250", "a third of the samples in a third of the time");
    let svg = String::from_utf8(flame::graph(&comparison, "10 s").unwrap()).unwrap();
    assert!(svg.contains("<title>grows (2,000 ms, 50.00%)</title>"), "{svg}");
    assert!(flame::graph(&compared(&[], &[]), "").is_none(), "there is nothing to draw");
}

#[test]
fn names_become_no_markup_and_no_counts() {
    let during = [("main;</title><script>x</script>;work 12", 100), ("main;a 5;b 7 8", 100), ("# main", 50)];
    let svg = String::from_utf8(flame::graph(&compared(&[], &during), "<b>").unwrap()).unwrap();
    assert!(!svg.contains("<script>x") && !svg.contains("<b>"), "{svg}");
    assert!(svg.contains("work_12 (100 ms"), "{svg}");
}

#[test]
fn a_large_profile_gives_a_bounded_picture() {
    let stacks: Vec<(String, u64)> = (0..20_200)
        .map(|number: u64| {
            let name = "name".repeat(20);
            (format!("main;{}{name};{name}{number};{}", number % 50, number % 7), 1 + number % 3)
        })
        .collect();
    let stacks: Vec<(&str, u64)> = stacks.iter().map(|(stack, millis)| (stack.as_str(), *millis)).collect();
    let comparison = compared(&stacks[..1000], &stacks);
    assert_eq!(comparison.stacks.len(), 20_000);
    let all: u64 = stacks.iter().map(|(_, millis)| millis).sum();
    let (_, processors) = comparison.processors();
    assert!((processors - all as f64 / 1e4).abs() < 1e-9, "{processors}: what is not drawn was used all the same");
    for svg in [flame::graph(&comparison, "").unwrap(), flame::difference(&comparison, "").unwrap()] {
        assert!(svg.len() <= flame::MAX_BYTES && svg.ends_with(b"</svg>"), "{}", svg.len());
    }
}

/// A world whose target serves profiles, under a clock of its own for plans.
struct Plans {
    world: World,
    now: Instant,
}

impl Plans {
    fn new() -> Self {
        let mut world = World::new();
        world.serve(1, 0.0);
        Self { world, now: Instant::now() }
    }

    fn after(&mut self, seconds: u64) -> Option<(Purpose, u64)> {
        self.now += Duration::from_secs(seconds);
        let state = &mut self.world.state;
        let order = state.profiles.next(&state.incidents, &state.targets, self.now)?;
        assert_eq!(order.url.to_string(), "http://127.0.0.1:9464/debug/pprof/profile");
        Some((order.purpose, order.number))
    }

    fn done(&mut self, (purpose, number): (Purpose, u64), fetched: Result<Vec<u8>, Failure>) -> bool {
        let at = self.world.now();
        let state = &mut self.world.state;
        let calm = purpose == Purpose::Calm;
        let (before, _) = state.profiles.targets[0].baseline.before(at, None);
        let product = fetched.and_then(|bytes| make(bytes.into(), calm, &before, false, at));
        let label = "127.0.0.1:9464".to_owned();
        let taken = Taken { number, label, purpose, at, making: Some(Duration::from_millis(5)), product };
        state.profiles.take(taken, &mut state.incidents, self.now)
    }

    fn calm(&mut self, seconds: u64) {
        let order = self.after(seconds).unwrap();
        assert_eq!(order.0, Purpose::Calm);
        assert!(!self.done(order, Ok(profile(5.0, &[("main;work", 100)]))));
    }
}

#[test]
fn calm_profiles_are_taken_now_and_then_and_an_incident_goes_first() {
    let mut plans = Plans::new();
    assert_eq!(plans.after(0), None, "the target may be starting");
    plans.calm(30);
    assert_eq!(plans.after(59), None);
    plans.calm(1);
    plans.calm(60);
    assert_eq!(plans.after(599), None, "there are a few");
    plans.world.serve(120, 0.0);
    let calm = plans.after(1).unwrap();
    assert_eq!(plans.after(0), None, "one at a time");
    let id = plans.world.serve_until("open", 0.4, 15)["id"].as_str().unwrap().to_owned();
    let incident = plans.after(0).unwrap();
    assert_eq!(incident.0, Purpose::Incident(id.clone()), "the calm one gives way");
    assert!(!plans.done(calm, Ok(profile(5.0, &[("main;burn", 4000)]))), "it came too late");
    assert_eq!(plans.after(0), None);
    assert!(plans.done(incident, Ok(profile(10.0, &[("main;work", 200), ("main;burn", 4000)]))));
    let told = &plans.world.incidents()[0];
    assert_eq!(told["profile"]["functions"][0]["name"], "burn", "{told:#}");
    assert_eq!(told["profile"]["links"][2], format!("/api/v1/incidents/{id}/diff.svg"));
    let summary = told["summary"].as_str().unwrap();
    assert!(summary.contains("In the CPU profile, burn in main: 0 % -> 40 % of a processor."), "{summary}");
    assert_eq!(plans.after(3600), None, "one profile for an incident, and no calm one while it is open");

    plans.world.serve_until("resolved", 0.0, 90);
    assert_eq!(plans.after(60), None, "not calm yet");
    plans.calm(60);
}

#[test]
fn an_incident_that_opens_again_long_after_its_profile_gets_another_one() {
    let mut plans = Plans::new();
    plans.world.serve(120, 0.0);
    let id = plans.world.serve_until("open", 0.4, 15)["id"].clone();
    let order = plans.after(0).unwrap();
    assert!(plans.done(order, Ok(profile(10.0, &[("main;burn", 4000)]))));
    for (lasted, is_another) in [(60, false), (600, true)] {
        plans.world.serve(lasted, 0.4);
        plans.world.serve_until("resolved", 0.0, 90);
        assert_eq!(plans.world.serve_until("open", 0.4, 30)["id"], id, "it is the same one");
        let shown = plans.world.incidents()[0]["profile"].is_null();
        assert_eq!((plans.after(60).is_some(), shown), (is_another, is_another), "after {lasted} s");
    }
    assert_eq!(plans.world.state.profiles.shelf.bytes(), 0, "the old one made room");
}

#[test]
fn what_another_process_did_not_use_is_called_no_growth() {
    let mut plans = Plans::new();
    plans.after(0);
    plans.calm(30);
    plans.world.serve(60, 0.0);
    plans.world.restart();
    plans.world.serve(120, 0.0);
    plans.world.serve_until("open", 0.4, 15);
    plans.now += Duration::from_secs(60);
    let state = &mut plans.world.state;
    let order = state.profiles.next(&state.incidents, &state.targets, plans.now).unwrap();
    assert_eq!((order.calm.len(), order.is_earlier), (1, true));
    let bytes = profile(10.0, &[("main;renamed", 4000)]);
    let made = make(bytes.into(), false, &order.calm, order.is_earlier, order.calm[0].at).unwrap();
    let Product::Incident(made) = made else { panic!("{made:?}") };
    assert_eq!(made.1.culprit(), None);
    assert!(made.1.summary().starts_with("Compared with the process before the restart: 0.40"), "{}", made.1.summary());
}

#[test]
fn a_target_without_profiles_is_left_alone_for_an_hour_and_incidents_say_nothing_of_it() {
    for failure in [Failure::Absent(http::StatusCode::NOT_FOUND), Failure::Invalid("it is no gzip stream")] {
        let mut plans = Plans::new();
        plans.after(0);
        let order = plans.after(30).unwrap();
        plans.done(order, Err(failure));
        assert_eq!(plans.after(3599), None);
        assert!(plans.after(1).is_some());
    }
    let mut plans = Plans::new();
    plans.world.serve(120, 0.0);
    plans.world.serve_until("open", 0.4, 15);
    let order = plans.after(0).unwrap();
    assert!(!plans.done(order, Err(Failure::Absent(http::StatusCode::NOT_FOUND))));
    assert_eq!(plans.after(60), None);
    assert_eq!(plans.world.incidents()[0]["profile"], serde_json::Value::Null);
}

#[test]
fn an_incidents_profile_is_tried_a_few_times_and_then_given_up_with_the_reason() {
    let mut plans = Plans::new();
    plans.world.serve(120, 0.0);
    plans.world.serve_until("open", 0.4, 15);
    let order = plans.after(0).unwrap();
    assert!(!plans.done(order, Err(Failure::Busy(Some(Duration::from_secs(40))))));
    assert_eq!(plans.after(39), None);
    for pause in [1, 5, 5] {
        let order = plans.after(pause).unwrap();
        plans.done(order, Err(Failure::Connection("connection refused".to_owned())));
    }
    assert_eq!(plans.after(600), None);
    let told = plans.world.incidents()[0]["profile"].clone();
    assert_eq!(told["summary"], "There is no CPU profile: connection refused.", "{told:#}");
    assert_eq!(told["links"].as_array().map(Vec::len), Some(0));
    assert_eq!(plans.world.state.profiles.targets[0].failures, [0, 0, 1, 0, 3, 0, 0, 0]);
}

#[test]
fn what_was_taken_after_an_onset_was_not_calm() {
    let piece = |seconds: u64| Piece { at: UNIX_EPOCH + Duration::from_secs(seconds), bytes: Bytes::from_static(b"x") };
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
    let all = || {
        let mut baseline = Baseline::default();
        let gone: Vec<_> = [70, 10, 20, 30, 40, 50, 60].into_iter().flat_map(|at| baseline.add(piece(at))).collect();
        assert_eq!(gone, [piece(10)], "the oldest goes");
        baseline
    };
    assert_eq!(all().before(at(35), None), (vec![piece(20), piece(30)], false));
    assert_eq!(all().before(at(5), None), (vec![piece(20)], false), "the oldest has to do");
    assert_eq!(all().before(at(35), Some(at(25))), (vec![piece(30)], false), "of the process that runs");
    assert_eq!(all().before(at(35), Some(at(32))), (vec![piece(40)], false), "the oldest of it");
    assert_eq!(all().before(at(35), Some(at(99))), (vec![piece(20), piece(30)], true), "there is none of it");
    let mut baseline = all();
    assert_eq!(baseline.settle(at(35), at(80)).len(), 4);
    assert_eq!(baseline.len(), 2);
    let mut baseline = all();
    assert_eq!(baseline.settle(at(5), at(80)).len(), 5, "one stays");
    assert_eq!(baseline.settle(at(90), at(8 * 86_400)).len(), 1, "a week old");
}

#[test]
fn names_of_calm_files_say_whose_they_are_and_when_they_were_taken() {
    let at = UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
    let name = baseline::file_name("shop:80/stats?x=1", &Piece { at, bytes: Bytes::new() });
    assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)), "{name}");
    assert_eq!(baseline::taken_at("shop:80/stats?x=1", &name), Some(at));
    assert_eq!(baseline::taken_at("shop:81", &name), None);
    for wrong in ["", "-", ".pb.gz", "a-b.pb.gz", &name[1..], &name.replace('-', "-f".repeat(20).as_str())] {
        assert_eq!(baseline::taken_at("shop:80/stats?x=1", wrong), None, "{wrong}");
    }
}

#[test]
fn profiles_have_a_bound_in_number_and_size_and_incidents_say_what_is_left() {
    let mut plans = Plans::new();
    plans.world.serve(120, 0.0);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(plans.world.serve_until("open", 0.4, 30)["id"].as_str().unwrap().to_owned());
        let order = plans.after(60).unwrap();
        plans.done(order, Ok(profile(10.0, &[("main;burn", 4000)])));
        plans.world.serve_until("resolved", 0.0, 90);
        // Another incident, and no second part of this one.
        plans.world.serve(150, 0.0);
    }
    let state = &mut plans.world.state;
    assert_eq!(state.profiles.outbox.files.len(), 6);
    let two = ProfileSettings { keep: 2, ..ProfileSettings::default() };
    state.profiles.apply(&two, &state.targets);
    state.profiles.shrink(&mut state.incidents);
    assert_eq!(state.profiles.shelf.dropped, 1);
    assert!(state.profiles.shelf.place(&ids[0], Form::Flame).is_none());
    assert!(matches!(state.profiles.shelf.place(&ids[2], Form::Flame), Some(shelf::Place::Memory(_))));
    assert_eq!((state.profiles.outbox.files.len(), state.profiles.outbox.removed.len()), (4, 3));
    let told = plans.world.incidents();
    assert_eq!(told[2]["profile"]["links"].as_array().map(Vec::len), Some(0), "{:#}", told[2]);
    assert_eq!(told[2]["profile"]["functions"][0]["name"], "burn", "the words stay");
}

#[test]
fn a_restart_keeps_profiles_and_calm_ones_and_removes_what_is_of_nobody() {
    let mut plans = Plans::new();
    plans.after(0);
    plans.calm(30);
    plans.world.serve(120, 0.0);
    let id = plans.world.serve_until("open", 0.4, 15)["id"].as_str().unwrap().to_owned();
    let order = plans.after(0).unwrap();
    plans.done(order, Ok(profile(10.0, &[("main;burn", 4000)])));
    let folder = outrigger_testkit::Folder::new("profiles");
    let mut store = crate::store::Store::open(Some(folder.path()), Duration::from_secs(30)).unwrap();
    let now = plans.world.now();
    let written = store.begin(plans.world.state.keep(now)).unwrap()();
    store.end(&written);
    plans.world.state.profiles.saved(&written.saved);
    assert_eq!(written.saved.len(), 4);
    assert!(matches!(plans.world.state.profiles.shelf.place(&id, Form::Flame), Some(shelf::Place::Disk(_))));
    std::fs::write(folder.path().join("incidents/1-1.flame.svg"), "left over").unwrap();
    std::fs::write(folder.path().join("incidents/notes.txt"), "a person's").unwrap();
    std::fs::write(folder.path().join("profiles/0000000000000000-1.pb.gz"), "of another target").unwrap();
    drop(store);

    let mut store = crate::store::Store::open(Some(folder.path()), Duration::from_secs(30)).unwrap();
    let memory: Memory = store.load();
    plans.world.restart_agent(memory);
    let profiles = &plans.world.state.profiles;
    assert_eq!(profiles.targets[0].baseline.len(), 1);
    assert!(matches!(profiles.shelf.place(&id, Form::Difference), Some(shelf::Place::Disk(_))));
    assert!(profiles.bytes() > 1000, "{}", profiles.bytes());
    assert_eq!(plans.world.incidents()[0]["profile"]["links"].as_array().map(Vec::len), Some(3));
    let written = store.begin(plans.world.state.keep(now)).unwrap()();
    store.end(&written);
    let there = |name: &str| folder.path().join(name).exists();
    assert!(!there("incidents/1-1.flame.svg") && !there("profiles/0000000000000000-1.pb.gz"));
    assert!(there("incidents/notes.txt") && there(&format!("incidents/{id}.flame.svg")));

    plans.world.state.profiles.forget(&id);
    let written = store.begin(plans.world.state.keep(now)).unwrap()();
    store.end(&written);
    assert!(!there(&format!("incidents/{id}.profile.pb.gz")) && !there(&format!("incidents/{id}.diff.svg")));
}

#[test]
fn the_example_of_the_docs_is_one() {
    let docs = include_str!("../../../docs/profiles.md");
    let (_, toml) = docs.split_once("```toml\n").unwrap();
    let (toml, _) = toml.split_once("```").unwrap();
    let read = Settings::from_toml(toml).unwrap();
    assert_eq!(ProfileSettings { urls: Vec::new(), ..read.profile.clone() }, ProfileSettings::default());
    assert_eq!(read.profile.urls[0].0, "127.0.0.1:8080");
    for text in [&Failure::REASONS[..], &Purpose::NAMES[..], &Form::ALL.map(Form::name)[..]].concat() {
        assert!(docs.contains(text), "{text}");
    }
}

#[test]
fn a_target_may_serve_its_profiles_elsewhere_or_not_at_all() {
    let settings = |text: &str| Settings::from_toml(text);
    let urls = "[profile.urls]\n'127.0.0.1:9464' = 'http://127.0.0.1:6060/debug/pprof/profile?hz=50'";
    let read = settings(urls).unwrap();
    let state = crate::state::State::new(&read);
    let url = state.profiles.targets[0].url.clone().unwrap();
    assert_eq!(url.to_string(), "http://127.0.0.1:6060/debug/pprof/profile?hz=50");
    let off = settings("profile.urls = { '127.0.0.1:9464' = '' }").unwrap();
    assert_eq!(crate::state::State::new(&off).profiles.targets[0].url, None);
    let error = settings("profile.urls = { '127.0.0.1:1' = '' }").unwrap_err().to_string();
    assert!(error.contains("`127.0.0.1:1` is none of the targets"), "{error}");
    let error = settings("[profile]\nevery = '5s'").unwrap_err().to_string();
    assert!(error.contains("config:2: profile.every: "), "{error}");
}
