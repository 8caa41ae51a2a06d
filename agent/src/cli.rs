//! The command line of `outrigger`.

mod detect;
mod plain;
mod record;
mod replay;
mod tell;

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use http::{Request, Uri};
use http_body_util::Full;
use tokio::runtime::Runtime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::client::Client;
use crate::config::keys;
use crate::config::value::Value;
use crate::config::{ConfigError, ConfigFile, Loaded, Origin, Problem, Settings, Sources};
use crate::run::Agent;
use crate::store::folder;
use detect::Detect;
use plain::plain;

/// Runs the program with the process' arguments and environment, and answers with its exit code: 0 for success, 1 for
/// failure, 2 for a command line that could not be read.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run(args),
        Command::Check { file } => check(&file),
        Command::Health { url, timeout } => health(url, timeout.into()),
        Command::Tell { args, .. } => tell::test(&args),
        Command::Detect(detect) => detect::main(&detect),
        Command::Record(args) => record::main(&args),
        Command::Replay(args) => replay::main(&args),
    }
}

/// A sidecar that scrapes a service and its host, detects latency anomalies, and delivers to Prometheus and OTLP.
#[derive(Parser)]
#[command(name = "outrigger", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  outrigger run                                   scrape 127.0.0.1:9464, serve http://127.0.0.1:9465
  outrigger run --target 127.0.0.1:8080/stats     scrape another page
  outrigger run --otlp-endpoint http://collector:4318
  outrigger run --tell-alertmanager http://127.0.0.1:9093
  outrigger check outrigger.toml                  is this file right, and what does it mean?
  outrigger replay --prometheus http://127.0.0.1:9090 --start -6h --out pictures
                                                  what would have been flagged?

Every key of the file is an environment variable too: `interval` is OUTRIGGER_INTERVAL,
`otlp.endpoint` is OUTRIGGER_OTLP_ENDPOINT. Flags win over variables, variables over the file.
The standard OTEL_EXPORTER_OTLP_* variables are honoured.";

#[derive(Subcommand)]
enum Command {
    /// Collect, detect, serve and deliver until SIGTERM or SIGINT; SIGHUP reads the file again.
    #[command(after_help = EXAMPLES)]
    Run(Box<RunArgs>),
    /// Tell what a configuration file means, or what is wrong with it. The environment is not looked at.
    #[command(after_help = "Example:\n  outrigger check outrigger.toml && systemctl restart outrigger")]
    Check {
        /// The TOML file.
        file: PathBuf,
    },
    /// Ask a running agent whether it is well: exit code 0 if it is, 1 if not. For exec probes.
    #[command(after_help = "Example:\n  outrigger health --url http://127.0.0.1:9465/-/ready")]
    Health {
        /// What to ask. Without it, /-/healthy where OUTRIGGER_LISTEN or the default says that the agent listens.
        #[arg(long)]
        url: Option<Uri>,
        /// How long to wait for the answer.
        #[arg(long, default_value = "3s")]
        timeout: humantime::Duration,
    },
    /// Send a test message to each destination of incidents, and say what came back: exit code 0 if all took it.
    #[command(after_help = "Example:\n  outrigger tell --test --config outrigger.toml")]
    Tell {
        /// Send the test message.
        #[arg(long, required = true)]
        test: bool,
        #[command(flatten)]
        args: Box<RunArgs>,
    },
    /// Run a detector over CSV on stdin: one row in, one verdict out.
    #[command(subcommand)]
    Detect(Detect),
    /// Keep a service's pages in a file, for `outrigger replay`.
    #[command(long_about = record::ABOUT, after_help = record::EXAMPLES)]
    Record(record::Record),
    /// Tell what would have been flagged in the past, with a picture of each incident.
    #[command(long_about = replay::ABOUT, after_help = replay::EXAMPLES)]
    Replay(Box<replay::Replay>),
}

#[derive(Args)]
struct RunArgs {
    /// What to scrape: host:port, host:port/path or a URL. May be given several times [default: 127.0.0.1:9464]
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// Where to serve the page, /metrics and the API [default: 127.0.0.1:9465]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Listen beyond loopback although there is no api_token
    #[arg(long)]
    listen_unprotected: bool,
    /// Time between two ticks, 1s to 60s [default: 5s]
    #[arg(long, value_name = "DURATION")]
    interval: Option<String>,
    /// How long one scrape may take, at most the interval [default: nine tenths of it]
    #[arg(long, value_name = "DURATION")]
    scrape_timeout: Option<String>,
    /// Push everything to this OTLP endpoint (HTTP/protobuf)
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Tell this Alertmanager of incidents. May be given several times
    #[arg(long = "tell-alertmanager", value_name = "URL")]
    alertmanagers: Vec<String>,
    /// Log lines to write to stderr: error, warn, info, debug, trace, or target=level pairs [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Keep state and incidents here [default: $STATE_DIRECTORY, else ~/.local/state/outrigger]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// The TOML file to read [default: none]
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE)]
    config: Option<PathBuf>,
}

impl RunArgs {
    /// The flags that were given, by the keys they set.
    fn flags(&self) -> Vec<(&'static str, Value)> {
        let mut flags = Vec::new();
        if !self.targets.is_empty() {
            flags.push(("targets", Value::List(self.targets.clone())));
        }
        if !self.alertmanagers.is_empty() {
            flags.push(("tell.alertmanager", Value::List(self.alertmanagers.clone())));
        }
        if self.listen_unprotected {
            flags.push(("listen_unprotected", Value::Text("true".to_owned())));
        }
        let texts = [
            ("listen", &self.listen),
            ("interval", &self.interval),
            ("scrape_timeout", &self.scrape_timeout),
            ("otlp.endpoint", &self.otlp_endpoint),
            ("data_dir", &self.data_dir),
            ("log", &self.log),
        ];
        flags.extend(texts.into_iter().filter_map(|(key, text)| Some((key, Value::Text(text.clone()?)))));
        flags
    }

    fn settings(&self, variables: &[(String, String)]) -> Result<Settings, ConfigError> {
        let file = self.config.as_deref().map(ConfigFile::read).transpose()?;
        let find = |name: &str| Some(variables.iter().find(|(variable, _)| variable == name)?.1.clone());
        // RUST_LOG is what Rust programs are usually told; ours and the flag say it more precisely.
        let fallback = |name: &str| if name == "OUTRIGGER_LOG" { find("RUST_LOG") } else { None };
        let env = |name: &str| find(name).or_else(|| fallback(name));
        let mut settings = Loaded::load(&Sources { file, env: Some(&env), flags: self.flags() })?.settings;
        settings.data_dir = settings.data_dir.or_else(|| folder::usual(|name| std::env::var_os(name)));
        Ok(settings)
    }
}

/// The environment as text. Strangers that are no UTF-8 are none of our business; our own are an error each.
fn variables() -> Result<Vec<(String, String)>, ConfigError> {
    let (mut variables, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        // This one is a path, which may be any bytes, and is read as such.
        if name == CONFIG_VARIABLE {
            continue;
        }
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) if name.starts_with("OUTRIGGER_") || name.starts_with("OTEL_EXPORTER_OTLP_") => {
                let message = "the value is not UTF-8; set it to plain text, or unset it".to_owned();
                problems.push(Problem { origin: Origin::Env(name), key: None, message });
            }
            Err(_) => {}
        }
    }
    if problems.is_empty() { Ok(variables) } else { Err(ConfigError { problems }) }
}

const CONFIG_VARIABLE: &str = "OUTRIGGER_CONFIG";

fn run(args: Box<RunArgs>) -> ExitCode {
    let read = variables().and_then(|variables| Ok((args.settings(&variables)?, variables)));
    let (settings, variables) = match read {
        Ok(read) => read,
        Err(error) => return fail(&error),
    };
    let mut set_log = log_to_stderr(&settings);
    for warning in keys::doubts(&settings, &variables) {
        tracing::warn!("{warning}");
    }
    if settings.data_dir.is_none() {
        tracing::warn!(
            "there is no home to keep state in, so nothing is kept across restarts; name a folder with --data-dir"
        );
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let outcome = runtime.block_on(async {
        let shutdown = shutdown_signal()?;
        let agent = Agent::bind(settings).await.map_err(std::io::Error::other)?;
        // The file may have changed; flags and variables are what they were at the start.
        let load = move || args.settings(&variables);
        agent.reload_with(load, move |settings| set_log(settings)).run(shutdown).await;
        Ok::<(), std::io::Error>(())
    });
    // A collector that hangs in the kernel must not hold the end up.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn check(file: &Path) -> ExitCode {
    let loaded =
        ConfigFile::read(file).and_then(|file| Loaded::load(&Sources { file: Some(file), ..Sources::default() }));
    match loaded {
        Ok(loaded) => {
            // A closed pipe is the reader's choice.
            let _ = write!(std::io::stdout(), "{}", plain(&loaded.to_string()));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn health(url: Option<Uri>, timeout: Duration) -> ExitCode {
    let url = match url.map_or_else(default_health_url, Ok) {
        Ok(url) => url,
        Err(error) => return fail(&error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let answer = runtime.block_on(async { tokio::time::timeout(timeout, ask(&url)).await });
    runtime.shutdown_background();
    match answer {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&format_args!("{url}: {error}")),
        Err(_) => fail(&format_args!("{url}: no answer within {}", humantime::format_duration(timeout))),
    }
}

async fn ask(url: &Uri) -> Result<(), String> {
    let client = Client::new([url]).map_err(|error| error.to_string())?;
    let request = Request::get(url).body(Full::<Bytes>::default()).map_err(|error| error.to_string())?;
    let response = client.send(request).await.map_err(|error| error.to_string())?;
    if response.status().is_success() { Ok(()) } else { Err(format!("answered {}", response.status())) }
}

fn default_health_url() -> Result<Uri, String> {
    let mut listen = Settings::default().listen;
    if let Some(text) = std::env::var_os("OUTRIGGER_LISTEN") {
        let text = text.to_string_lossy();
        listen = text
            .parse()
            .map_err(|_| format!("OUTRIGGER_LISTEN: `{text}` is no address; write one such as 127.0.0.1:9465"))?;
    }
    if listen.ip().is_unspecified() {
        listen.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{listen}/-/healthy").parse().map_err(|_| format!("{listen} makes no URL; give one with --url"))
}

/// Two workers: one may parse a large page while the other answers probes. Host, processes and the bounded number of name
/// lookups share the blocking threads, and leave room.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(16).enable_all().build()
}

/// Logs to stderr as the settings say, and hands on how to change that.
fn log_to_stderr(settings: &Settings) -> impl FnMut(&Settings) + Send + use<> {
    let format = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    let format = format.with_ansi(std::io::stderr().is_terminal());
    let (filter, handle) = tracing_subscriber::reload::Layer::new(settings.log.clone());
    tracing_subscriber::registry().with(format).with(filter).init();
    // It fails only if nobody logs any more.
    move |settings| drop(handle.reload(settings.log.clone()))
}

/// Ends on SIGTERM or SIGINT. The handlers stand when this returns, before anything is started.
#[cfg(unix)]
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends on Ctrl-C.
#[cfg(not(unix))]
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler there is nothing to wait for but the end of the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    // A closed stderr leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "{}", plain(&error.to_string()));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_a_key_of_its_name() {
        use crate::config::keys::{KEYS, flag};
        let keys: Vec<_> = KEYS.iter().map(|key| flag(key.name)).collect();
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for argument in run.get_arguments().filter_map(|argument| argument.get_long()) {
            let flag = format!("--{argument}");
            assert!(keys.contains(&flag) || ["--config", "--help"].contains(&flag.as_str()), "{flag} is no key");
        }
    }
}
