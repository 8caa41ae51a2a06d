//! A database client of any kind: `cargo run --release -p features --bin timed_future`.

use std::io;
use std::time::Duration;

use outrigger::db::{ErrorType, Operation, TimedExt};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = outrigger::install()?;

    // What the calls are, as often as there are kinds of them.
    let find = Operation::new("mongodb", "find").collection("users").namespace("shop");
    for id in 0..100 {
        // The future of whatever client; without a word about its errors, they are `_OTHER`.
        let user = find_user(id).timed(&find).error_type(|error| match error.kind() {
            io::ErrorKind::NotFound => None, // an answer
            io::ErrorKind::TimedOut => Some(ErrorType::TIMEOUT),
            _ => Some(ErrorType::IO),
        });
        _ = user.await;
    }

    let page = metrics.render().unwrap_or_default();
    for line in page.lines().filter(|line| line.starts_with("db_client_operation_duration_seconds_count")) {
        println!("{line}");
    }
    Ok(())
}

/// Stands for a driver.
async fn find_user(id: u64) -> io::Result<String> {
    tokio::time::sleep(Duration::from_millis(id % 5)).await;
    match id % 10 {
        3 => Err(io::ErrorKind::NotFound.into()),
        7 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(format!("user {id}")),
    }
}
