//! The measured programs: contenders, what is asked of them, and the workers that the driver (`main.rs`) starts.

pub mod contenders;
pub mod counting;
pub mod observations;
pub mod operations;
pub mod processor;
pub mod registries;
pub mod requests;
pub mod worker;

/// What a worker or the driver reports when it cannot go on.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The bounds in seconds that every contender gets whose bounds can be set: 12 buckets with +Inf.
pub const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
