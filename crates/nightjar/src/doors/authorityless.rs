//! What stands in the place of `authorities` in a build without the feature `acme`: no authority is asked.
//! A configuration that wants one is refused when it is read (`parts`).

use std::io;
use std::path::{Path, PathBuf};

use config::{Acme, Config};

use super::listeners::ListenError;

/// Certificates from authorities, of which there are none.
pub(crate) struct Authorities;

impl Authorities {
    pub(crate) fn new(_: &Path) -> Self {
        Self
    }

    /// There is nothing to make.
    ///
    /// # Errors
    /// None.
    pub(crate) fn prepare(&self, _: &Config) -> Result<(), ListenError> {
        Ok(())
    }

    /// The file of a certificate, which nobody writes.
    pub(crate) fn file(&self, name: &str, _: &Acme) -> PathBuf {
        name.into()
    }

    /// There is nothing to keep good.
    ///
    /// # Errors
    /// None.
    pub(crate) fn keep(&mut self, _: &Config) -> io::Result<()> {
        Ok(())
    }
}
