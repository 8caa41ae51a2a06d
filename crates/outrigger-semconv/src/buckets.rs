//! Default bucket bounds. Each can be replaced per metric when the library is installed.

/// Requests, in seconds: the bounds that OpenTelemetry advises for HTTP durations, and 0.2, the default objective.
pub const REQUEST_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Database operations, cache loads and pool waits, in seconds: OpenTelemetry's advice for database durations.
pub const OPERATION_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Rows that a query returned: OpenTelemetry's advice.
pub const ROWS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0];

/// Background tasks, in seconds.
pub const TASK_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0];

/// Request and response bodies, in bytes: 256 B to 16 MiB in steps of four.
pub const BODY_BYTES: &[f64] =
    &[256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0];

/// How late something ready was run, in seconds: 100 us to 10 s.
pub const DELAY_SECONDS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Functions and blocks that a service names, in seconds: from ten microseconds on.
pub const SCOPE_SECONDS: &[f64] =
    &[0.000_01, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 10.0];
