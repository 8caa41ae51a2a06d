//! Where values come from, and what is wrong with them.

use std::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// A file, counted from line 1.
    File { path: PathBuf, line: usize },
    /// A file as a whole.
    Whole(PathBuf),
    /// An environment variable.
    Env(String),
    /// A flag of the command line.
    Flag(String),
    /// The code of a program that embeds the agent.
    Code,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Code => f.write_str("settings"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Whole(path) => write!(f, "{}", path.display()),
            Self::Env(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Everything that is wrong with the settings, one line for each problem.
#[derive(Debug)]
pub struct ConfigError {
    pub(crate) problems: Vec<Problem>,
}

/// One thing that is wrong: where, which key, what, and how to put it right.
#[derive(Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) origin: Origin,
    pub(crate) key: Option<&'static str>,
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (&self.origin, self.key) {
            (Origin::File { .. } | Origin::Default | Origin::Code, Some(key)) => write!(f, "{key}: {}", self.message),
            _ => f.write_str(&self.message),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
