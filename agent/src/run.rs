//! The agent at work: one task owns the state, works at its own tick, and answers questions in between.
//!
//! A tick starts a scrape of every target and a reading of host and processes, all at once, each in a task of its own.
//! What they bring home is taken in one by one as it arrives, so a target that hangs delays nobody. A collector that is
//! not back when the next tick comes is left alone until it is.

mod owner;
mod reload;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::client::Client;
use crate::collect::scrape::Address;
use crate::config::{ConfigError, Settings};
use crate::export::otlp::Delivery;
use crate::serve::guard::Guard;
use crate::serve::{Desk, MAX_QUERIES, Pulse, serve};
use crate::store::Store;
use owner::Owner;
use reload::{Hangups, Reload};

/// An agent that has its address and is ready to run.
///
/// ```
/// use outrigger_agent::{Agent, Settings};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let settings = Settings { listen: ([127, 0, 0, 1], 0).into(), ..Settings::default() };
/// let agent = Agent::bind(settings).await?;
/// println!("http://{}", agent.local_addr());
/// agent.run(std::future::ready(())).await; // a real caller passes a future that ends on SIGTERM
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Agent {
    settings: Settings,
    listener: TcpListener,
    address: SocketAddr,
    client: Client,
    store: Store,
    reload: Option<Reload>,
}

impl Agent {
    /// Takes the address and the data folder that the settings name. Nothing is scraped yet.
    ///
    /// # Errors
    /// The settings are ones that no agent can work with, such as an address beyond loopback without
    /// [`Settings::listen_unprotected`]; the address is taken or is not one of this machine's; TLS is asked for and the
    /// system has no certificates; another agent holds the data folder. A data folder that cannot be made or written is no
    /// error: the agent works without memory, and says so.
    pub async fn bind(settings: Settings) -> Result<Self, StartError> {
        settings.check().map_err(StartError::Settings)?;
        let uris = settings.targets.iter().map(Address::uri).chain(&settings.otlp.endpoint).chain(settings.tell.uris());
        let uris = uris.chain(settings.profile.uris());
        let client = Client::new(uris).map_err(|error| StartError::Tls { reason: error.to_string() })?;
        let wanted = settings.listen;
        let failed = |error| StartError::Listen { address: wanted, error };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let store = Store::open(settings.data_dir.as_deref(), settings.save_interval)
            .map_err(|pid| StartError::DataDir { folder: settings.data_dir.clone().unwrap_or_default(), pid })?;
        Ok(Self { settings, listener, address, client, store, reload: None })
    }

    /// The address that the page is served on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Reads the settings anew with `load` on SIGHUP (Unix) and on `POST /-/reload`, and calls `applied` with those that
    /// are now in force. Settings that cannot be read or worked with change nothing. What was learnt of targets that stay
    /// is kept; the address and the data folder stay as they are until a restart.
    #[must_use]
    pub fn reload_with(
        mut self,
        load: impl FnMut() -> Result<Settings, ConfigError> + Send + 'static,
        applied: impl FnMut(&Settings) + Send + 'static,
    ) -> Self {
        self.reload = Some(Reload { load: Box::new(load), applied: Box::new(applied) });
        self
    }

    /// Works until `shutdown` ends, then writes its state and leaves: within a tenth of a second, or two seconds where the
    /// disk is slow.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tracing::info!(interval = %humantime::format_duration(self.settings.interval), "serving http://{}", self.address);
        let (queries, mut questions) = mpsc::channel(MAX_QUERIES);
        let (pulse, pulse_seen) =
            watch::channel(Pulse { ready: false, at: Instant::now(), interval: self.settings.interval });
        let (guard, guard_seen) = watch::channel(Arc::new(Guard::new(&self.settings)));
        let desk = Desk { queries, pulse: pulse_seen, guard: guard_seen };
        let mut hangups = Hangups::listen(self.reload.is_some());
        let delivery = Delivery::start(&self.settings.otlp, self.client.clone(), Arc::default());
        let mut server = tokio::spawn(serve(self.listener, desk));
        let mut owner = Owner::new(self.settings, self.client, self.address, delivery, pulse, self.store);
        owner.reload = self.reload;
        owner.guard = Some(guard);

        let mut ticks = tokio::time::interval(owner.settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(done) = owner.work.join_next() => match done {
                    Ok(done) => owner.take(done),
                    Err(error) => fall_with(error),
                },
                Some(done) = owner.writing.join_next() => match done {
                    Ok(written) => owner.end_writing(written),
                    Err(error) => fall_with(error),
                },
                Some(done) = owner.profiling.join_next() => match done {
                    Ok(taken) => owner.take_profile(taken),
                    Err(error) => fall_with(error),
                },
                Some(done) = owner.teller.work.join_next() => match done {
                    Ok(sent) => owner.take_sent(sent),
                    Err(error) => fall_with(error),
                },
                _ = ticks.tick() => owner.tick(),
                () = hangups.next() => {
                    // What came of it stands in the log and in a gauge.
                    let _ = owner.reload();
                }
                Some(query) = questions.recv() => {
                    let answer = owner.answer(query.what);
                    // Who asked may have gone.
                    let _ = query.reply.send(answer);
                }
                Err(error) = &mut server => fall_with(error),
            }
            if ticks.period() != owner.settings.interval {
                ticks = tokio::time::interval(owner.settings.interval);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            }
        }
        server.abort();
        if tokio::time::timeout(LAST_WRITING, owner.write_the_last()).await.is_err() {
            tracing::warn!("the disk is too slow for the last writing; what was learnt since the one before is lost");
        }
        if let Some(delivery) = owner.delivery {
            delivery.stop().await;
        }
    }
}

/// How long the end waits for the disk.
const LAST_WRITING: Duration = Duration::from_secs(2);

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("address", &self.address)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Why an agent could not be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The settings are out of range, or do not fit together.
    Settings(ConfigError),
    /// The address could not be listened on.
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// Another agent holds the data folder.
    DataDir {
        /// The folder.
        folder: PathBuf,
        /// The other agent's process, if it said.
        pid: Option<u32>,
    },
    /// Targets or endpoints ask for TLS and it could not be set up.
    Tls {
        /// What is missing, and how to put it right.
        reason: String,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen { address, error } if error.kind() == io::ErrorKind::AddrInUse => write!(
                f,
                "{address} is taken by another program (another outrigger?); choose another address with --listen \
                 (OUTRIGGER_LISTEN, or `listen` in the file), for example --listen 127.0.0.1:9466"
            ),
            Self::Listen { address, error } => {
                write!(f, "cannot listen on {address}: {error}; choose another address with --listen")
            }
            Self::DataDir { folder, pid } => {
                write!(f, "the data folder {} belongs to another outrigger that runs", folder.display())?;
                if let Some(pid) = pid {
                    write!(f, " (process {pid})")?;
                }
                f.write_str(
                    "; end that one, or give this one a folder of its own with --data-dir (OUTRIGGER_DATA_DIR, or \
                     `data_dir` in the file)",
                )
            }
            Self::Settings(error) => error.fmt(f),
            Self::Tls { reason } => write!(f, "TLS cannot be used: {reason}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { error, .. } => Some(error),
            // Its own words are the whole message already.
            Self::Settings(_) | Self::Tls { .. } | Self::DataDir { .. } => None,
        }
    }
}

/// A panic in one of the agent's tasks is a bug. Half an agent would hide it, so the whole one falls with it and whoever
/// runs it starts it anew.
fn fall_with(error: tokio::task::JoinError) {
    if let Ok(panic) = error.try_into_panic() {
        std::panic::resume_unwind(panic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_listens_beyond_loopback_without_being_told() {
        let mut settings = Settings { listen: ([0, 0, 0, 0], 0).into(), ..Settings::default() };
        let refused = Agent::bind(settings.clone()).await;
        assert!(matches!(&refused, Err(StartError::Settings(_))), "{refused:?}");
        settings.listen_unprotected = true;
        Agent::bind(settings).await.unwrap();
    }

    #[tokio::test]
    async fn an_interval_of_zero_is_an_error_and_no_panic() {
        let settings = Settings { interval: Duration::ZERO, listen: ([127, 0, 0, 1], 0).into(), ..Settings::default() };
        let refused = Agent::bind(settings).await.map(|agent| agent.local_addr()).unwrap_err();
        assert_eq!(
            refused.to_string().lines().next().unwrap(),
            "settings: interval: 0s is out of range; choose 1s to 1m"
        );
    }
}
