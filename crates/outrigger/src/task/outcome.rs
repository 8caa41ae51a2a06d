//! What a run's output says about how it ended.

/// How a run ended, by what it returned.
///
/// There for `()`, which is always a success, and for any `Result`. A type of one's own says it like this:
///
/// ```
/// use outrigger::task::Outcome;
///
/// enum Imported {
///     All,
///     Some { bad_lines: usize },
/// }
///
/// impl Outcome for Imported {
///     fn failure(&self) -> Option<&'static str> {
///         matches!(self, Self::Some { .. }).then_some("bad_lines")
///     }
/// }
/// ```
pub trait Outcome {
    /// What failed, in a word out of a small set; `None` where nothing did.
    fn failure(&self) -> Option<&'static str>;
}

impl Outcome for () {
    fn failure(&self) -> Option<&'static str> {
        None
    }
}

/// The failure is the name of the error's type.
impl<T, E> Outcome for Result<T, E> {
    fn failure(&self) -> Option<&'static str> {
        self.is_err().then(type_label::<E>)
    }
}

/// Tells how a run ended from its output: there for closures, and for [`ByOutcome`].
pub trait Judge<T> {
    /// What failed; `None` where nothing did.
    fn failure(&self, output: &T) -> Option<&'static str>;
}

impl<T, C: Fn(&T) -> Option<&'static str>> Judge<T> for C {
    fn failure(&self, output: &T) -> Option<&'static str> {
        self(output)
    }
}

/// Leaves it to the output's [`Outcome`].
#[derive(Clone, Copy, Debug)]
pub struct ByOutcome;

impl<T: Outcome> Judge<T> for ByOutcome {
    fn failure(&self, output: &T) -> Option<&'static str> {
        output.failure()
    }
}

/// A type's name as a label: its path, or `_OTHER` for what is more than a path, such as `Box<dyn Error>`.
fn type_label<E>() -> &'static str {
    let name = std::any::type_name::<E>();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':');
    if plain { name } else { OTHER_FAILURE }
}

/// The convention's word for an error without a name of its own.
pub(super) const OTHER_FAILURE: &str = "_OTHER";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_named_by_its_errors_type() {
        assert_eq!(().failure(), None);
        assert_eq!(Ok::<(), std::fmt::Error>(()).failure(), None);
        assert_eq!(Err::<(), _>(std::fmt::Error).failure(), Some("core::fmt::Error"));
        let boxed: Result<(), Box<dyn std::error::Error>> = Err("no".into());
        assert_eq!(boxed.failure(), Some(OTHER_FAILURE));
        assert_eq!(Err::<(), _>("no").failure(), Some(OTHER_FAILURE));
    }
}
