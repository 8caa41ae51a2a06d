//! The labels of a database operation, as types with few values.

use ::metrics::Label;
use outrigger_semconv::label;
use sqlx::Error;

use crate::series::LabelSet;

/// The labels beside the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OperationLabels {
    pub(super) system: &'static str,
    pub(super) operation: &'static str,
    pub(super) failure: Option<Failure>,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Failure {
    /// What the database called it: SQLSTATE, or SQLite's result code.
    Code(Code),
    /// What the client calls it.
    Kind(&'static str),
}

/// A database's error code: one to five capitals and digits, padded with zero bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Code([u8; 5]);

/// The convention's name of the system that a driver talks to.
pub(super) fn system_name(driver: &str) -> &'static str {
    match driver {
        "PostgreSQL" => "postgresql",
        "MySQL" => "mysql",
        "SQLite" => "sqlite",
        _ => "other_sql",
    }
}

impl Failure {
    /// `None` where the error is a proper answer.
    pub(super) fn of(error: &Error) -> Option<Self> {
        Some(Self::Kind(match error {
            Error::RowNotFound => return None,
            Error::Database(error) => match error.code().as_deref().and_then(Code::new) {
                Some(code) => return Some(Self::Code(code)),
                None => OTHER_FAILURE,
            },
            Error::PoolTimedOut => "pool_timeout",
            Error::PoolClosed => "pool_closed",
            Error::Io(_) => "io",
            Error::Tls(_) => "tls",
            Error::Protocol(_) => "protocol",
            Error::Decode(_) | Error::ColumnDecode { .. } => "decode",
            Error::Encode(_) => "encode",
            Error::WorkerCrashed => "worker_crashed",
            _ => OTHER_FAILURE,
        }))
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Code(code) => code.as_str(),
            Self::Kind(kind) => kind,
        }
    }
}

impl Code {
    fn new(text: &str) -> Option<Self> {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let mut code = [0; 5];
        code.get_mut(..text.len()).filter(|_| plain)?.copy_from_slice(text.as_bytes());
        Some(Self(code))
    }

    fn as_str(&self) -> &str {
        let length = self.0.iter().position(|b| *b == 0).unwrap_or(self.0.len());
        self.0.get(..length).and_then(|code| std::str::from_utf8(code).ok()).unwrap_or(OTHER_FAILURE)
    }
}

impl LabelSet for OperationLabels {
    fn labels(self, collection: &str) -> Vec<Label> {
        let mut labels =
            vec![Label::new(label::DB_SYSTEM_NAME, self.system), Label::new(label::DB_OPERATION_NAME, self.operation)];
        if !collection.is_empty() {
            labels.push(Label::new(label::DB_COLLECTION_NAME, collection.to_owned()));
        }
        if let Some(failure) = self.failure {
            labels.push(Label::new(label::ERROR_TYPE, failure.as_str().to_owned()));
        }
        labels
    }

    fn folded(self) -> Self {
        let failure = self.failure.map(|_| Failure::Kind(OTHER_FAILURE));
        Self { system: self.system, operation: label::OTHER, failure }
    }
}

/// The convention's word for an error without a name of its own.
const OTHER_FAILURE: &str = "_OTHER";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_three_databases_are_kept_and_anything_else_is_not() {
        for code in ["23505", "42P01", "1555", "5", "HY000"] {
            assert_eq!(Code::new(code).unwrap().as_str(), code);
        }
        for text in ["", "123456", "a", "1 2", "é"] {
            assert_eq!(Code::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_missing_row_is_no_failure_and_client_side_errors_have_a_kind() {
        assert_eq!(Failure::of(&Error::RowNotFound), None);
        assert_eq!(Failure::of(&Error::PoolTimedOut), Some(Failure::Kind("pool_timeout")));
        assert_eq!(Failure::of(&Error::ColumnNotFound("x".to_owned())), Some(Failure::Kind("_OTHER")));
    }
}
