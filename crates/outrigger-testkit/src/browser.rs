//! Chromium without a window.

use crate::{Folder, Program, find::server_program};
use std::{fs, path::PathBuf, time::Duration};

const DEADLINE: Duration = Duration::from_secs(120);

/// The installed browser. Each page is loaded by a process of its own with an empty profile.
#[derive(Clone, Debug)]
pub struct Chromium {
    program: PathBuf,
}

/// A page to load.
#[derive(Clone, Debug)]
pub struct Page {
    chromium: Chromium,
    url: String,
    size: (u32, u32),
    patience: Duration,
}

impl Chromium {
    /// Finds it; `None` when it is not installed (see [`require`](crate::require)).
    #[must_use]
    pub fn find() -> Option<Self> {
        Some(Self { program: server_program("chromium")? })
    }

    /// A page to load, by any URL that a browser takes.
    #[must_use]
    pub fn page(&self, url: impl Into<String>) -> Page {
        Page { chromium: self.clone(), url: url.into(), size: (1280, 800), patience: Duration::from_secs(5) }
    }
}

impl Page {
    /// Sets the window's size in pixels. Defaults to 1280 x 800.
    #[must_use]
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (width, height);
        self
    }

    /// Sets how long the page's scripts may run before they are looked at, in the page's own clock, which runs ahead
    /// whenever the page only waits. Defaults to 5 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The document after its scripts have run, as HTML.
    ///
    /// # Panics
    /// When the browser fails or does not end within two minutes; the message holds its log.
    #[must_use]
    #[track_caller]
    pub fn dom(&self) -> String {
        let profile = Folder::unprivileged("chromium");
        let finished = self.program(&profile).arg("--dump-dom").arg(&self.url).run(DEADLINE);
        assert!(finished.status.success(), "chromium failed:\n{}", finished.log);
        finished.stdout
    }

    /// A picture of the window, as PNG.
    ///
    /// # Panics
    /// When the browser fails or does not end within two minutes; the message holds its log.
    #[must_use]
    #[track_caller]
    pub fn screenshot(&self) -> Vec<u8> {
        let profile = Folder::unprivileged("chromium");
        let file = profile.path().join("page.png");
        let argument = format!("--screenshot={}", file.display());
        let finished = self.program(&profile).arg(argument).arg(&self.url).run(DEADLINE);
        assert!(finished.status.success(), "chromium failed:\n{}", finished.log);
        fs::read(&file).unwrap_or_else(|error| panic!("chromium made no picture ({error}):\n{}", finished.log))
    }

    fn program(&self, profile: &Folder) -> Program {
        Program::new(&self.chromium.program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            // Containers give /dev/shm 64 MB, too little for a tall picture; crash reports would outlive the browser.
            .args(["--disable-dev-shm-usage", "--disable-breakpad", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .arg(format!("--window-size={},{}", self.size.0, self.size.1))
            .arg(format!("--virtual-time-budget={}", self.patience.as_millis()))
            .env("HOME", profile.path())
            .env("XDG_CONFIG_HOME", profile.path())
            .env("XDG_CACHE_HOME", profile.path())
            .env("XDG_RUNTIME_DIR", profile.path())
            .env("TMPDIR", profile.path())
            .current_dir(profile.path())
            .unprivileged()
    }
}
