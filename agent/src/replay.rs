//! Replay: the agent's own path over pages of the past.
//!
//! Pages come from recordings ([`files`]) or are put together from a Prometheus server's samples ([`prometheus`]). Each goes
//! through [`State::absorb_scrape`](crate::state::State::absorb_scrape), as it would have gone on the day; what would have
//! been flagged comes out as a [`report`], and as a [`gallery`] of pictures.

pub(crate) mod files;
pub(crate) mod gallery;
pub(crate) mod naming;
pub(crate) mod player;
pub(crate) mod prometheus;
pub(crate) mod recording;
pub(crate) mod report;
#[cfg(test)]
mod tests;
pub(crate) mod truth;
