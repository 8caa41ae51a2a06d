//! What sqlx and its drivers call things, in the words of the labels.

use sqlx::Error;

use crate::db::ErrorType;

/// The convention's name of the system that a driver talks to.
pub(super) fn system_name(driver: &str) -> &'static str {
    match driver {
        "PostgreSQL" => "postgresql",
        "MySQL" => "mysql",
        "SQLite" => "sqlite",
        _ => "other_sql",
    }
}

/// `None` where the error is a proper answer.
pub(in crate::db) fn error_type(error: &Error) -> Option<ErrorType> {
    Some(match error {
        Error::RowNotFound => return None,
        Error::Database(error) => error.code().as_deref().map_or(ErrorType::OTHER, ErrorType::code),
        Error::PoolTimedOut => ErrorType::kind("pool_timeout"),
        Error::PoolClosed => ErrorType::kind("pool_closed"),
        Error::Io(_) => ErrorType::IO,
        Error::Tls(_) => ErrorType::kind("tls"),
        Error::Protocol(_) => ErrorType::kind("protocol"),
        Error::Decode(_) | Error::ColumnDecode { .. } => ErrorType::kind("decode"),
        Error::Encode(_) => ErrorType::kind("encode"),
        Error::WorkerCrashed => ErrorType::kind("worker_crashed"),
        _ => ErrorType::OTHER,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_row_is_no_failure_and_client_side_errors_have_a_kind() {
        assert_eq!(error_type(&Error::RowNotFound), None);
        assert_eq!(error_type(&Error::PoolTimedOut), Some(ErrorType::kind("pool_timeout")));
        assert_eq!(error_type(&Error::ColumnNotFound("x".to_owned())), Some(ErrorType::OTHER));
    }
}
