//! Pictures of what happened: the latency of a route over time as a heat map, its requests and errors below, and its
//! distribution before and during an incident.
//!
//! Pure drawing: what was counted goes in, SVG or HTML comes out. Nothing here runs scripts or loads anything, colours
//! follow the reader's light or dark mode, every picture says in words what it shows, and what services wrote is escaped.

mod album;
mod distribution;
mod film;
mod heatmap;
pub(crate) mod incident;
mod lines;
mod scene;
mod strip;
pub(crate) mod svg;
#[cfg(test)]
mod tests;

pub(crate) use album::Album;
pub(crate) use film::{Film, Limits};
pub(crate) use scene::Scene;
