//! What one process measures. The driver starts it, under valgrind or not, and reads the `name=value` that it prints.

mod observations;
mod operations;
mod requests;
mod scrapes;

use crate::counting::counts;
use crate::{Result, contenders, observations as cases, operations as wrapped, registries};

pub fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["list"] => list(),
        ["page", contender] => requests::page(contender),
        ["requests", contender, scenario, count] => requests::run(contender, scenario.parse()?, count.parse()?),
        ["requests-allocations", contender] => counting().and_then(|()| requests::allocations(contender)),
        ["requests-memory", contender] => counting().and_then(|()| requests::memory(contender)),
        ["observe", case, count] => observations::run(case, count.parse()?),
        ["observe-time", case, threads] => observations::time(case, threads.parse()?),
        ["observe-memory", case] => counting().and_then(|()| observations::memory(case)),
        ["operate", case, count] => operations::run(case, count.parse()?),
        ["operate-allocations", case] => counting().and_then(|()| operations::allocations(case)),
        ["scrape-time", registry, series] => scrapes::time(registry, series.parse()?),
        ["scrape-memory", registry, series] => counting().and_then(|()| scrapes::memory(registry, series.parse()?)),
        _ => Err(format!("what does {arguments:?} mean?").into()),
    }
}

fn counting() -> Result<()> {
    let counts = counts().allocations > 0;
    if counts { Ok(()) } else { Err("this worker's allocator does not count: take the other one".into()) }
}

fn list() -> Result<()> {
    for contender in contenders::all() {
        println!("contender\t{}\t{}", contender.name, contender.about);
    }
    for case in cases::all() {
        println!("observation\t{}\t{}", case.name, case.about);
    }
    for case in wrapped::all() {
        println!("operation\t{}\t{}", case.name, case.about);
    }
    for registry in registries::all() {
        println!("registry\t{}\t{}", registry.name, registry.about);
    }
    Ok(())
}
