use std::time::UNIX_EPOCH;

use outrigger_testkit::Folder as Temporary;

use super::*;
use crate::state::world::World;

const EVERY: Duration = Duration::from_secs(30);

fn open(path: &Path) -> Store {
    Store::open(Some(path), EVERY).unwrap()
}

fn save(store: &mut Store, writing: Writing) -> Written {
    let work = store.begin(writing).unwrap();
    let written = work();
    store.end(&written);
    written
}

/// The names in a folder, sorted.
fn names(path: &Path) -> Vec<String> {
    let names = files(path).into_iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned());
    names.collect()
}

#[test]
fn an_incident_and_its_detectors_go_on_after_a_restart_however_it_came() {
    let folder = Temporary::new("store");
    let mut world = World::new();
    world.serve(120, 0.0);
    let incident = world.serve_until("open", 0.4, 15);
    let mut store = open(folder.path());
    assert!(save(&mut store, world.state.keep(world.now())).unsaved.is_empty());
    // What is counted after the last writing is lost to an agent that is killed, but not to its successor.
    world.serve(7, 0.4);
    drop(store);

    let memory = open(folder.path()).load();
    assert_eq!((memory.incidents.len(), memory.snapshot.as_ref().map(|snapshot| snapshot.targets.len())), (1, Some(1)));
    world.restart_agent(memory);
    assert_eq!(world.incidents().len(), 1);
    world.serve(1, 0.4);
    assert_eq!(world.state.targets[0].warming_up(), 0, "nothing is learnt anew");
    let requests = world.state.targets[0].routes.iter().map(|(_, route)| route.last().unwrap().requests()).min();
    assert!(requests.unwrap() >= 8 * 8, "the first interval holds what was counted since the writing: {requests:?}");
    world.serve(20, 0.4);
    let again = world.incidents();
    assert_eq!((again.len(), &again[0]["id"], &again[0]["state"]), (1, &incident["id"], &"open".into()));
    let resolved = world.serve_until("resolved", 0.0, 90);
    assert_eq!(resolved["id"], incident["id"]);
    assert_eq!((world.incidents().len(), world.state.targets[0].health.incidents), (1, 0), "none was opened since");
}

#[test]
fn a_long_absence_raises_nothing_and_ends_nothing() {
    for (absence, slow_share, open) in [(3600, 0.0, 0), (3600, 0.4, 1), (20 * 3600, 0.0, 0), (3 * 86_400, 0.0, 0)] {
        let mut world = World::new();
        world.serve(120, 0.0);
        if slow_share > 0.0 {
            world.serve_until("open", slow_share, 15);
        }
        let Writing { snapshot, incidents, .. } = world.state.keep(world.now());
        // Nobody saw these hours: they were bad, and then all was as it had been before.
        world.count(absence, 0.9);
        world.restart_agent(Memory { snapshot: Some(snapshot), incidents, ..Memory::default() });
        world.serve(2, slow_share);
        let states: Vec<_> = world.incidents().iter().map(|incident| incident["state"].clone()).collect();
        assert_eq!(states, vec![serde_json::json!("open"); open], "after {absence} s");
        world.serve(60, slow_share);
        assert_eq!(world.incidents().len(), open, "after {absence} s: {:#?}", world.incidents());
    }
}

#[test]
fn a_service_that_restarted_while_the_agent_was_away_has_its_grace() {
    let mut world = World::new();
    world.serve(120, 0.0);
    let Writing { snapshot, .. } = world.state.keep(world.now());
    world.count(600, 0.0);
    world.restart();
    world.restart_agent(Memory { snapshot: Some(snapshot), ..Memory::default() });
    world.serve(1, 0.0);
    // Cold caches.
    world.serve(5, 0.8);
    world.serve(60, 0.0);
    assert_eq!(world.incidents(), Vec::<serde_json::Value>::new());
}

#[test]
fn what_cannot_be_read_is_set_aside_and_counted() {
    let folder = Temporary::new("store");
    let mut store = open(folder.path());
    let mut world = World::new();
    world.serve(120, 0.0);
    let id = world.serve_until("open", 0.4, 15)["id"].as_str().unwrap().to_owned();
    save(&mut store, world.state.keep(world.now()));
    let incidents = folder.path().join(INCIDENTS);
    let whole = fs::read(incidents.join(format!("{id}.json"))).unwrap();
    folder.write(STATE, br#"{"version":2,"rows":[]}"#);
    fs::write(incidents.join("1-1.json"), &whole).unwrap();
    fs::write(incidents.join("2-2.json"), &whole[..whole.len() / 2]).unwrap();
    fs::write(incidents.join("3-3.tmp"), b"half").unwrap();

    let memory = store.load();
    assert!(memory.snapshot.is_none());
    assert_eq!((memory.incidents.len(), memory.incidents[0].id.as_str()), (1, id.as_str()));
    assert_eq!((store.health().set_aside, store.health().up), (3, true));
    let is_aside = |name: &&String| name.contains(".aside-");
    assert_eq!(names(&incidents).iter().filter(is_aside).count(), 2);
    let aside = names(folder.path()).into_iter().find(|name| is_aside(&name)).unwrap();
    assert_eq!(fs::read(folder.path().join(aside)).unwrap(), br#"{"version":2,"rows":[]}"#);
    assert_eq!(store.load().incidents.len(), 1, "the next start is clean");
    assert_eq!(store.health().set_aside, 3);
}

#[test]
fn the_profile_of_an_incident_that_was_set_aside_stays() {
    let folder = Temporary::new("store");
    let mut store = open(folder.path());
    let incidents = folder.path().join(INCIDENTS);
    fs::create_dir_all(&incidents).unwrap();
    let [damaged, nobodys] = ["18b2c3d4e5f-1", "18b2c3d4e5f-2"]
        .map(|id| crate::profile::shelf::file_name(id, crate::profile::exhibit::Form::ALL[0]));
    fs::write(incidents.join("18b2c3d4e5f-1.json"), b"half").unwrap();
    for name in [&damaged, &nobodys] {
        fs::write(folder.path().join(name), b"x").unwrap();
    }
    for _ in 0..2 {
        let mut world = World::new();
        world.restart_agent(store.load());
        save(&mut store, world.state.keep(world.now()));
        assert!(folder.path().join(&damaged).exists());
        assert!(!folder.path().join(&nobodys).exists());
    }
}

#[test]
fn dropped_incidents_leave_the_disk() {
    let folder = Temporary::new("store");
    let mut store = open(folder.path());
    let mut world = World::new();
    world.serve(120, 0.0);
    world.serve_until("open", 0.4, 15);
    world.serve_until("resolved", 0.0, 90);
    save(&mut store, world.state.keep(world.now()));
    assert_eq!(names(&folder.path().join(INCIDENTS)).len(), 1);
    let later = world.now() + Duration::from_secs(91 * 86_400);
    save(&mut store, world.state.keep(later));
    assert_eq!(names(&folder.path().join(INCIDENTS)), Vec::<String>::new());
}

#[test]
fn a_disk_that_fails_is_told_and_what_it_missed_is_written_later() {
    let folder = Temporary::new("store");
    let mut store = open(folder.path());
    let mut world = World::new();
    world.serve(120, 0.0);
    world.serve_until("open", 0.4, 15);
    // A file where the folder should be.
    let blocked = folder.write(INCIDENTS, "");
    let written = save(&mut store, world.state.keep(world.now()));
    assert_eq!((written.unsaved.len(), store.health().up, store.health().failures), (1, false, 1));
    world.state.incidents.still_unsaved(&written.unsaved);
    fs::remove_file(blocked).unwrap();
    let written = save(&mut store, world.state.keep(world.now()));
    assert_eq!((written.unsaved.len(), store.health().up, store.health().successes), (0, true, 1));
    assert_eq!(open_after(store, &folder).load().incidents.len(), 1);
}

fn open_after(store: Store, folder: &Temporary) -> Store {
    drop(store);
    open(folder.path())
}

#[test]
fn writing_has_its_times() {
    let folder = Temporary::new("store");
    let mut store = Store::open(Some(folder.path()), Duration::ZERO).unwrap();
    assert!(store.is_due());
    let mut state = World::new().state;
    let work = store.begin(state.keep(UNIX_EPOCH)).unwrap();
    store.hurry();
    assert!(!store.is_due(), "one at a time");
    let written = Written { took: Duration::from_secs(3600), ..work() };
    store.end(&written);
    assert!(store.is_due(), "somebody is in a hurry");
    let again = store.begin(state.keep(UNIX_EPOCH)).unwrap()();
    store.end(&Written { took: Duration::from_secs(3600), ..again });
    assert!(!store.is_due(), "where writing takes an hour it is not done all the time");
    assert!(!Store::open(None, Duration::ZERO).unwrap().is_due(), "without a folder nothing is written");
}

/// Whatever stands in the files, the agent starts, and every byte is still there afterwards.
fn starts_with(state: &[u8], incident: &[u8]) {
    let folder = Temporary::new("store");
    let mut store = open(folder.path());
    let incidents = folder.path().join(INCIDENTS);
    fs::create_dir(&incidents).unwrap();
    folder.write(STATE, state);
    fs::write(incidents.join("1-1.json"), incident).unwrap();
    let memory = store.load();
    let was_read = memory.snapshot.is_some();
    let mut world = World::new();
    world.restart_agent(memory);
    world.serve(3, 0.5);
    world.incidents();
    let writing = world.state.keep(world.now());
    serde_json::to_string(&writing.snapshot).unwrap();
    let kept =
        |path: &Path, bytes: &[u8]| files(path).iter().any(|file| fs::read(file).is_ok_and(|read| read == bytes));
    assert!(was_read || kept(folder.path(), state));
    assert!(kept(&incidents, incident));
}

/// A state and an incident as they are written.
fn written() -> (String, String) {
    static WRITTEN: std::sync::OnceLock<(String, String)> = std::sync::OnceLock::new();
    let make = || {
        let mut world = World::new();
        world.serve(60, 0.0);
        world.serve_until("open", 0.4, 60);
        let mut writing = world.state.keep(world.now());
        let mut incident = writing.incidents.remove(0);
        incident.id = "1-1".to_owned();
        let bundle = Bundle { version: VERSION, written_at: world.now(), summary: String::new(), incident };
        (serde_json::to_string(&writing.snapshot).unwrap(), serde_json::to_string(&bundle).unwrap())
    };
    WRITTEN.get_or_init(make).clone()
}

/// A text with some of its numbers replaced: right in form and absurd in content.
fn bent(text: &str, from: usize, by: &str) -> String {
    let is_digit = |at: &usize| text.as_bytes()[*at].is_ascii_digit();
    let Some(start) = (from % text.len()..text.len()).find(is_digit) else { return text.to_owned() };
    let end = (start..text.len()).find(|at| !is_digit(at)).unwrap_or(text.len());
    format!("{}{by}{}", &text[..start], &text[end..])
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_are_survived_and_kept(state in ".{0,60}|\\{\"version\":1,.{0,20}\\}", incident in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
        starts_with(state.as_bytes(), &incident);
    }

    #[test]
    fn files_that_were_damaged_anywhere_are_survived(
        cut in proptest::prelude::any::<usize>(),
        at in proptest::prelude::any::<usize>(),
        by in proptest::prop_oneof![
            proptest::prelude::Just("0"),
            proptest::prelude::Just("-1"),
            proptest::prelude::Just("1e308"),
            proptest::prelude::Just("18446744073709551615"),
            proptest::prelude::Just("9999"),
            proptest::prelude::Just("null"),
        ],
    ) {
        let (state, incident) = written();
        starts_with(&state.as_bytes()[..cut % state.len()], &incident.as_bytes()[..cut % incident.len()]);
        starts_with(bent(&state, at, by).as_bytes(), bent(&incident, at, by).as_bytes());
    }

    #[test]
    fn any_state_round_trips_and_tells_the_same_afterwards(
        seconds in 0..90_u32,
        slow in 0.0..0.6_f64,
        more in 1..40_u32,
        later in 0.0..0.6_f64,
    ) {
        let mut world = World::new();
        world.serve(60 + seconds, 0.0);
        world.serve(20, slow);
        let Writing { snapshot, incidents, .. } = world.state.keep(world.now());
        let text = serde_json::to_string(&snapshot).unwrap();
        let read: Snapshot = parse(text.as_bytes()).unwrap();
        proptest::prop_assert_eq!(&read, &snapshot);

        let mut twin = world.twin(Memory { snapshot: Some(read), incidents, ..Memory::default() });
        let Writing { snapshot: again, .. } = twin.state.keep(twin.now());
        proptest::prop_assert_eq!(serde_json::to_string(&again).unwrap(), text);
        world.serve(more, later);
        twin.serve(more, later);
        // Ids hold the time at which an incident was opened, and how many the agent had opened before.
        let told = |world: &World| world.incidents().iter().map(|incident| (incident["state"].clone(), incident["summary"].clone())).collect::<Vec<_>>();
        proptest::prop_assert_eq!(told(&world), told(&twin));
    }
}
