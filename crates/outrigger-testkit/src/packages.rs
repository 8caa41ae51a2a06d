//! What to install so that no test is skipped.

/// Programs and the Debian 12 packages that bring them. Install with services kept from starting (`policy-rc.d`).
pub const DEBIAN: &[(&str, &str)] = &[
    ("postgres", "postgresql-15"),
    ("psql", "postgresql-client-15"),
    ("redis-server", "redis-server"),
    ("mariadbd", "mariadb-server"),
    ("mariadb-install-db", "mariadb-server"),
    ("mariadb", "mariadb-client"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("prometheus-alertmanager", "prometheus-alertmanager"),
    ("chromium", "chromium"),
    ("openssl", "openssl"),
    ("valgrind", "valgrind"),
];

/// Python packages of the OTLP receiver and of the strangers that read our pages, for the interpreter that [`python`](crate::python) finds.
pub const PYPI: &[&str] = &["opentelemetry-proto", "grpcio", "prometheus-client"];

/// Modules that those packages bring.
pub const PYTHON_MODULES: &[&str] = &["grpc", "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc"];

/// The Debian package that brings a program, where we know it.
#[must_use]
pub fn debian(program: &str) -> Option<&'static str> {
    DEBIAN.iter().find(|(name, _)| *name == program).map(|(_, package)| *package)
}
