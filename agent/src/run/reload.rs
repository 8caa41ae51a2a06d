//! New settings for an agent that runs: all of them or none, and nothing is forgotten of the targets that stay.

use std::sync::Arc;
use std::time::SystemTime;

use super::owner::{Owner, process_collector};
use crate::client::Client;
use crate::collect::process::Processes;
use crate::collect::scrape::Address;
use crate::config::{ConfigError, Settings};
use crate::export::otlp::Delivery;
use crate::serve::Answer;
use crate::serve::guard::Guard;

/// Where new settings come from, and who else wants to know.
pub(super) struct Reload {
    pub(super) load: Box<dyn FnMut() -> Result<Settings, ConfigError> + Send>,
    pub(super) applied: Box<dyn FnMut(&Settings) + Send>,
}

impl Owner {
    /// Reads the settings anew and puts them in force. What came of it is logged, answered, and shown in a gauge.
    pub(super) fn reload(&mut self) -> Answer {
        // Taken out, for it is called while the rest of the owner changes.
        let Some(mut reload) = self.reload.take() else {
            return Answer::nothing("this agent was started without settings that could be read again\n".to_owned());
        };
        let loaded = (reload.load)().map_err(|error| error.to_string());
        let outcome = loaded.and_then(|settings| self.apply(settings));
        self.state.is_reloaded = outcome.is_ok();
        let answer = match outcome {
            Ok(unchanged) => {
                (reload.applied)(&self.settings);
                for note in &unchanged {
                    tracing::warn!("{note}");
                }
                tracing::info!("the settings were read again and are in force");
                Answer::of(std::iter::once("reloaded\n".to_owned()).chain(unchanged).collect())
            }
            Err(error) => {
                tracing::error!("the settings cannot be used, those in force stay: {error}");
                Answer::bad(format!("nothing was changed\n{error}\n"))
            }
        };
        self.reload = Some(reload);
        answer
    }

    /// Puts settings in force. Answers what of them has to wait for a restart.
    fn apply(&mut self, mut settings: Settings) -> Result<Vec<String>, String> {
        settings.check().map_err(|error| error.to_string())?;
        let old = Arc::clone(&self.settings);
        let unchanged = keep_what_cannot_change(&old, &mut settings);

        let uris = |settings: &Settings| -> Vec<_> {
            let targets = settings.targets.iter().map(Address::uri);
            targets
                .chain(&settings.otlp.endpoint)
                .chain(settings.tell.uris())
                .chain(settings.profile.uris())
                .cloned()
                .collect()
        };
        let wanted = uris(&settings);
        if wanted != uris(&old) {
            self.client = Client::new(&wanted).map_err(|error| format!("TLS cannot be used: {error}"))?;
        }
        // From here on nothing can fail.
        if settings.otlp != old.otlp {
            if let Some(delivery) = self.delivery.take() {
                self.pushed = delivery.counts();
                tokio::spawn(delivery.stop());
            }
            self.delivery = Delivery::start(&settings.otlp, self.client.clone(), Arc::clone(&self.pushed));
        }
        if settings.tell != old.tell {
            self.teller.set(&settings.tell, &self.page);
        }
        self.teller.set_interval(settings.interval);
        self.state.apply(&settings, SystemTime::now());
        self.album.retain(|label| settings.targets.iter().any(|target| target.label() == label));
        if settings.targets != old.targets {
            self.reloads += 1;
            self.state.processes = Processes { own: self.state.processes.own.take(), targets: Vec::new() };
            // One that is away is replaced when it comes home.
            if self.processes.is_some() {
                self.processes = Some(process_collector(&settings.targets));
            }
        }
        self.store.set_every(settings.save_interval);
        self.pulse.send_modify(|pulse| pulse.interval = settings.interval);
        if let Some(guard) = &self.guard {
            guard.send_replace(Arc::new(Guard::new(&settings)));
        }
        self.settings = Arc::new(settings);
        self.write_if_due();
        Ok(unchanged)
    }
}

/// What is bound to the process stays as it is, and is told.
fn keep_what_cannot_change(old: &Settings, settings: &mut Settings) -> Vec<String> {
    let mut told = Vec::new();
    if settings.listen != old.listen {
        told.push(format!("listen stays {} until a restart\n", old.listen));
    }
    if settings.data_dir != old.data_dir {
        let folder = old.data_dir.as_ref().map_or_else(|| "unset".to_owned(), |folder| folder.display().to_string());
        told.push(format!("data_dir stays {folder} until a restart\n"));
    }
    settings.listen = old.listen;
    if settings.api_token.is_none() && !settings.listen.ip().is_loopback() && !old.listen_unprotected {
        settings.api_token.clone_from(&old.api_token);
        told.push("api_token stays until a restart, since other machines can ask\n".to_owned());
    }
    settings.listen_unprotected = old.listen_unprotected;
    settings.data_dir.clone_from(&old.data_dir);
    told
}

/// SIGHUP, where there is such a thing.
#[cfg(unix)]
pub(super) struct Hangups(Option<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Hangups {
    /// Listens from now on, if it is asked to. Otherwise SIGHUP ends the process, as usual.
    pub(super) fn listen(wanted: bool) -> Self {
        let signal = || tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
        let listen = || signal().inspect_err(|error| tracing::warn!(%error, "SIGHUP cannot be heard")).ok();
        Self(wanted.then(listen).flatten())
    }

    pub(super) async fn next(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

/// There is none; settings are read again on request.
#[cfg(not(unix))]
pub(super) struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    pub(super) fn listen(_: bool) -> Self {
        Self
    }

    pub(super) async fn next(&mut self) {
        std::future::pending().await
    }
}
