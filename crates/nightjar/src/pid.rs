//! The file with the number of the process.

use std::fs;
use std::path::{Path, PathBuf};

use tracing::warn;

/// Is there as long as this lives. What is wrong with it keeps no server from serving.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes it, if there is to be one.
    pub(crate) fn write(wanted: Option<&Path>) -> Option<Self> {
        let path = wanted?;
        match fs::write(path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(Self(path.to_owned())),
            Err(error) => {
                let file = &*path.to_string_lossy();
                warn!(file, %error, "the number of the process is in no file");
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            let file = &*self.0.to_string_lossy();
            warn!(file, %error, "the file with the number of the process stays");
        }
    }
}
