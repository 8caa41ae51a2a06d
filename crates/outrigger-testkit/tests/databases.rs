//! Each database is started, used, restarted, and leaves neither port nor process nor folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use outrigger_testkit::{Mariadb, Postgres, Redis, Signal};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};
use support::Traces;

#[test]
fn postgres_keeps_its_data_through_kill_and_restart() {
    let Some(mut postgres) = Postgres::start() else { return };
    let traces = Traces::of(postgres.process(), postgres.port());
    postgres.sql("CREATE TABLE things (id int PRIMARY KEY); INSERT INTO things VALUES (1), (2), (3);");
    assert_eq!(postgres.sql("SELECT count(*), max(id) FROM things;"), "3|3\n");

    postgres.kill();
    assert!(!postgres.process().running());
    traces.assert_port_closed();
    postgres.restart();
    // Synced or not, the operating system still holds what a killed process wrote; the log replays it.
    assert_eq!(postgres.sql("SELECT 'still', version() LIKE 'PostgreSQL 15%';"), "still|t\n");
    assert!(postgres.url().contains(&format!(":{}/", postgres.port())));

    postgres.stop();
    traces.assert_port_closed();
    postgres.restart();
    postgres.sql("SELECT 1;");

    let segment = shared_memory(&postgres);
    assert!(segment_exists(&segment), "{segment}");
    let traces = Traces::of(postgres.process(), postgres.port());
    postgres.kill();
    drop(postgres);
    traces.assert_nothing_left();
    assert!(!segment_exists(&segment), "the killed server's shared memory is left");
}

/// The id of the System V segment with which the server guards its data folder.
fn shared_memory(postgres: &Postgres) -> String {
    let file = format!("/proc/{}/cwd/postmaster.pid", postgres.process().id());
    let file = std::fs::read_to_string(file).expect("the server runs in its data folder");
    file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)).expect("key and id").to_owned()
}

fn segment_exists(id: &str) -> bool {
    let segments = std::fs::read_to_string("/proc/sysvipc/shm").expect("the list of segments");
    segments.lines().any(|line| line.split_whitespace().nth(1) == Some(id))
}

#[test]
fn redis_answers_and_ends() {
    let Some(mut redis) = Redis::start() else { return };
    let say = |port: u16, words: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("redis accepts");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream.write_all(words.as_bytes()).expect("redis reads");
        let mut answer = [0; 64];
        let read = stream.read(&mut answer).expect("redis answers");
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    assert_eq!(say(redis.port(), "PING\r\n"), "+PONG\r\n");
    assert_eq!(say(redis.port(), "SET key value\r\n"), "+OK\r\n");
    assert_eq!(say(redis.port(), "GET key\r\n"), "$5\r\nvalue\r\n");
    redis.kill();
    redis.restart();
    assert_eq!(say(redis.port(), "GET key\r\n"), "$-1\r\n", "nothing is saved");
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));

    // A server that hangs is still killed on drop.
    let traces = Traces::of(redis.process(), redis.port());
    redis.process().signal(Signal::Stop);
    redis.kill();
    drop(redis);
    traces.assert_nothing_left();
}

#[test]
fn mariadb_keeps_its_data_through_restart() {
    let Some(mut mariadb) = Mariadb::start() else { return };
    let traces = Traces::of(mariadb.process(), mariadb.port());
    mariadb.sql("CREATE TABLE things (id int PRIMARY KEY); INSERT INTO things VALUES (1), (2), (3);");
    assert_eq!(mariadb.sql("SELECT count(*), max(id) FROM things;"), "3\t3\n");
    mariadb.stop();
    traces.assert_port_closed();
    mariadb.restart();
    assert_eq!(mariadb.sql("SELECT count(*), version() LIKE '%MariaDB%' FROM things;"), "3\t1\n");
    assert!(mariadb.url().ends_with("/outrigger"));

    let traces = Traces::of(mariadb.process(), mariadb.port());
    drop(mariadb);
    traces.assert_nothing_left();
}
