//! What must not be seen.

use std::fmt;

use zeroize::Zeroizing;

/// A password, a token, a proof: shown by no log and no error, and overwritten when dropped (S71).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes a copy.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// What it is, for who verifies it.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s71_a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Some(Secret::new(b"pa55"))), "Some(Secret)");
    }
}
