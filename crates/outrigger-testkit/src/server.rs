//! What all servers share: a port that may be lost, readiness, an end.

use crate::{Process, Program, Signal, free_port};
use std::{net::TcpStream, thread, time::Duration, time::Instant};

const READY: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(20);
const PORTS_TRIED: usize = 5;

/// A program that listens on one port and says when it is ready.
#[derive(Debug)]
pub(crate) struct Server {
    program: Program,
    process: Process,
    port: u16,
    ready: Ready,
    stop: Signal,
}

/// How a server shows that it is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ready {
    /// A line of its log holds this, and the port accepts.
    Line(&'static str),
    /// This path answers with 2xx.
    Path(&'static str),
}

impl Server {
    /// Starts what `program` gives for a port, on another port when the first is lost to a stranger.
    #[track_caller]
    pub(crate) fn start(ready: Ready, stop: Signal, program: impl Fn(u16) -> Program) -> Self {
        let mut explanation = String::new();
        for _ in 0..PORTS_TRIED {
            let port = free_port();
            let program = program(port);
            let process = program.start();
            match await_ready(&process, port, ready) {
                Ok(()) => return Self { program, process, port, ready, stop },
                Err(Failure::PortLost(tail)) => explanation = tail,
                Err(Failure::Other(reason)) => panic!("{reason}"),
            }
        }
        panic!("{PORTS_TRIED} ports in a row were lost{explanation}");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn stop(&self) {
        self.process.stop_by(self.stop, STOP);
    }

    /// Ends it if it still runs, and starts it again on the same port.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.process = self.program.start();
        match await_ready(&self.process, self.port, self.ready) {
            Ok(()) => {}
            Err(Failure::PortLost(tail)) => panic!("port {} was taken while the server was down{tail}", self.port),
            Err(Failure::Other(reason)) => panic!("{reason}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

enum Failure {
    PortLost(String),
    Other(String),
}

fn await_ready(process: &Process, port: u16, ready: Ready) -> Result<(), Failure> {
    let end = Instant::now() + READY;
    loop {
        let running = process.running();
        if running && is_ready(process, port, ready) {
            return Ok(());
        }
        if !running {
            process.kill();
            let log = process.log();
            let lost = ["ddress already in use", "ddress in use"].iter().any(|words| log.contains(words));
            return Err(match lost {
                true => Failure::PortLost(process.tail()),
                false => {
                    Failure::Other(format!("ended ({:?}) before it was ready{}", process.exit_status(), process.tail()))
                }
            });
        }
        if Instant::now() > end {
            return Err(Failure::Other(format!("not ready ({ready:?}) after {READY:?}{}", process.tail())));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn is_ready(process: &Process, port: u16, ready: Ready) -> bool {
    match ready {
        Ready::Line(part) => process.log().contains(part) && TcpStream::connect(("127.0.0.1", port)).is_ok(),
        Ready::Path(path) => crate::http::get(&format!("http://127.0.0.1:{port}{path}"))
            .is_ok_and(|answer| (200..300).contains(&answer.status)),
    }
}
