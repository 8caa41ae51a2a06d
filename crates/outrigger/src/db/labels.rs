//! The labels of a database operation, as types with few values.

use std::fmt;

use ::metrics::Label;
use outrigger_semconv::label;

use crate::series::LabelSet;

/// The labels whose values are closed sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OperationLabels {
    pub(super) system: &'static str,
    pub(super) operation: &'static str,
    pub(super) error: Option<ErrorType>,
}

/// Why an operation failed, as the label `error_type` has it: a code that the database gave, or a kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorType(Repr);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Repr {
    Code(Code),
    Kind(&'static str),
}

/// A database's error code: one to five capitals and digits, padded with zero bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Code([u8; 5]);

impl ErrorType {
    /// An error without a name of its own: `_OTHER`.
    pub const OTHER: Self = Self::kind("_OTHER");
    /// Dropped while waiting for the database: `cancelled`.
    pub const CANCELLED: Self = Self::kind("cancelled");
    /// Dropped by a panic: `panic`.
    pub const PANIC: Self = Self::kind("panic");
    /// A connection did not do what it should: `io`.
    pub const IO: Self = Self::kind("io");
    /// The caller's patience ended: `timeout`.
    pub const TIMEOUT: Self = Self::kind("timeout");

    /// A kind of failure, in the words of the program: one of few.
    #[must_use]
    pub const fn kind(kind: &'static str) -> Self {
        Self(Repr::Kind(kind))
    }

    /// The database's own code, such as a SQLSTATE: up to five capitals and digits. Anything else is
    /// [`OTHER`](Self::OTHER), since it might be a text of open form.
    ///
    /// ```
    /// use outrigger::db::ErrorType;
    ///
    /// assert_eq!(ErrorType::code("23505").as_str(), "23505");
    /// assert_eq!(ErrorType::code("no such table: carts"), ErrorType::OTHER);
    /// ```
    #[must_use]
    pub fn code(code: &str) -> Self {
        Code::new(code).map_or(Self::OTHER, |code| Self(Repr::Code(code)))
    }

    /// The pool gave no connection, so that the database has not been asked.
    pub(super) fn is_of_pool(self) -> bool {
        matches!(self.0, Repr::Kind("pool_timeout" | "pool_closed"))
    }

    /// The label's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Code(code) => code.as_str(),
            Repr::Kind(kind) => kind,
        }
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
        self.0.get(..length).and_then(|code| std::str::from_utf8(code).ok()).unwrap_or_default()
    }
}

/// The labels whose values are open, as the name of a row: the cap on rows holds them all at once.
///
/// The collection comes first, and by itself it is the whole name: most operations have no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OpenLabels {
    /// Namespace, role and shard.
    values: [Option<Box<str>>; REST.len()],
}

/// What follows the collection in a row's name.
const REST: [&str; 3] = [label::DB_NAMESPACE, label::DB_ROLE, label::DB_SHARD];

/// Stands between the parts of a row's name. Not in a value: see [`bounded`].
const SEPARATOR: char = '\u{1f}';

impl OpenLabels {
    pub(super) fn namespace(&mut self, value: &str) {
        self.set(0, value);
    }

    pub(super) fn role(&mut self, value: &str) {
        self.set(1, value);
    }

    pub(super) fn shard(&mut self, value: &str) {
        self.set(2, value);
    }

    fn set(&mut self, place: usize, value: &str) {
        if let Some(slot) = self.values.get_mut(place) {
            *slot = (!value.is_empty()).then(|| bounded(value).into());
        }
    }

    /// The name of the row of a collection, which may be empty.
    pub(super) fn row(&self, collection: &str) -> Box<str> {
        let mut name = bounded(collection).to_owned();
        if self.values.iter().any(Option::is_some) {
            for value in &self.values {
                name.push(SEPARATOR);
                name.push_str(value.as_deref().unwrap_or_default());
            }
        }
        name.into()
    }
}

/// A value that can be a label: short, and without control characters.
fn bounded(value: &str) -> &str {
    if value.len() <= VALUE_LIMIT && !value.chars().any(char::is_control) { value } else { label::OTHER }
}

const VALUE_LIMIT: usize = 64;

impl LabelSet for OperationLabels {
    fn labels(self, row: &str) -> Vec<Label> {
        let mut labels =
            vec![Label::new(label::DB_SYSTEM_NAME, self.system), Label::new(label::DB_OPERATION_NAME, self.operation)];
        for (name, value) in std::iter::once(label::DB_COLLECTION_NAME).chain(REST).zip(row.split(SEPARATOR)) {
            if !value.is_empty() {
                labels.push(Label::new(name, value.to_owned()));
            }
        }
        if let Some(error) = self.error {
            labels.push(Label::new(label::ERROR_TYPE, error.as_str().to_owned()));
        }
        labels
    }

    fn folded(self) -> Self {
        Self { system: self.system, operation: label::OTHER, error: self.error.map(|_| ErrorType::OTHER) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_three_databases_are_kept_and_anything_else_is_not() {
        for code in ["23505", "42P01", "1555", "5", "HY000"] {
            assert_eq!(ErrorType::code(code).as_str(), code);
        }
        for text in ["", "123456", "a", "1 2", "é"] {
            assert_eq!(ErrorType::code(text), ErrorType::OTHER, "{text:?}");
        }
    }

    #[test]
    fn open_labels_come_back_from_the_name_of_their_row() {
        let labels = |row: &str| -> Vec<(String, String)> {
            let key = OperationLabels { system: "redis", operation: "GET", error: None };
            key.labels(row).iter().map(|label| (label.key().to_owned(), label.value().to_owned())).collect()
        };
        let mut open = OpenLabels::default();
        assert_eq!(&*open.row("carts"), "carts", "nothing to allocate for most");
        assert_eq!(labels(&open.row("")).len(), 2);
        open.shard("eu-1");
        open.namespace("bad\u{1f}name");
        let expected = [("db_collection_name", "carts"), ("db_namespace", "_other"), ("db_shard", "eu-1")];
        let expected: Vec<_> = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(labels(&open.row("carts"))[2..], expected);
        assert_eq!(labels(&open.row(""))[2..], expected[1..]);
        assert_eq!(bounded(&"x".repeat(65)), label::OTHER);
    }
}
