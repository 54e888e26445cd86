//! What a run ends with if the server is wrong.

use std::fmt;

/// A rule that the server broke, in plain words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Leaves the function with a [`Failure`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::failure::Failure(format!($($words)+)));
        }
    };
}
pub(crate) use ensure;
