//! Beginning and ending.

use crate::support::{PATIENCE, Shop, load_program};
use outrigger_testkit::{Folder, Program, Signal};
use std::fs;
use std::net::TcpListener;
use std::path::Path;

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn signals_end_it_cleanly_and_leave_no_file() {
    for signal in [Signal::Term, Signal::Int] {
        let shop = Shop::start();
        let temporary = shop.temporary.path();
        let customer = shop.customer();
        assert_eq!(customer.put_into_cart(1, 1).status, 200);
        customer.check_out();
        assert!(!is_empty(temporary));
        shop.process.signal(signal);
        let status = shop.process.wait_exit(PATIENCE);
        assert!(status.success(), "{status}: {}", shop.process.log());
        assert!(is_empty(temporary), "{signal:?} left a file behind");
    }
}

#[test]
fn a_database_file_is_kept_with_nothing_beside_it() {
    let folder = Folder::new("shop");
    let database = folder.path().join("kept.db");
    let url = format!("sqlite:{}", database.display());
    let shop = Shop::with(&["--database", &url]);
    assert!(shop.process.stop(PATIENCE).unwrap().success());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kept.db"]);
}

#[test]
fn what_cannot_begin_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let shop = Program::new(env!("CARGO_BIN_EXE_shop"));
    let fails = |program: Program, named: &str| {
        let finished = program.run(PATIENCE);
        assert!(!finished.status.success());
        assert!(finished.log.contains(named), "{named} is not in {}", finished.log);
    };
    fails(shop.clone().args(["--listen", &address]), "--listen");
    let free = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    fails(shop.clone().args(free).args(["--database", "/no/such/folder/shop.db"]), "--database");
    let mysql = ["--database", "mysql://ada:secret@db/shop"];
    fails(shop.clone().args(free).args(mysql), "postgres://USER:PASSWORD@HOST:5432/DATABASE");
    fails(shop.clone().args(free).args(["--redis", "localhost"]), "redis://HOST:6379");
    fails(shop.clone().args(free).args(["--truth-file", "/no/such/folder/truth"]), "--truth-file");
    fails(shop.clone().args(["--listen", "8080"]), "--listen");
    fails(shop.clone().args(["--queue-capacity", "0"]), "--queue-capacity");
    fails(load_program("https://127.0.0.1:8080"), "--target");
    fails(load_program("http://127.0.0.1:8080").args(["--weights", "buy=1"]), "buy");
    fails(load_program("http://127.0.0.1:8080").args(["--report", "/no/such/folder/report"]), "--report");

    // Metrics are not what a shop lives on: it goes on without, and says so.
    let folder = Folder::new("tmp");
    let shop = shop.args(["--listen", "127.0.0.1:0", "--admin-listen", &address]).env("TMPDIR", folder.path()).start();
    shop.wait_line(PATIENCE, "--admin-listen");
    assert!(shop.running());
    assert!(shop.stop(PATIENCE).unwrap().success());
}

#[test]
fn a_profile_is_to_be_had_on_the_admin_listener() {
    let shop = Shop::start();
    let profile = shop.admin_send("GET", "/debug/pprof/profile?seconds=1", None);
    assert_eq!(profile.status, 200, "{}", profile.text());
    assert!(profile.body.starts_with(&[0x1f, 0x8b]), "compressed by gzip");
    assert_eq!(shop.get("/debug/pprof/profile").status, 404);
}

#[test]
fn help_shows_examples() {
    for binary in [env!("CARGO_BIN_EXE_shop"), env!("CARGO_BIN_EXE_load")] {
        let finished = Program::new(binary).arg("--help").run(PATIENCE);
        assert!(finished.status.success());
        assert!(finished.stdout.contains("Examples:"), "{}", finished.stdout);
    }
}
