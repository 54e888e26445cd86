//! The built dashboard: the files of `dist/`, inside the program.
//!
//! **Never:** no file of the disk at run time, no path but those of the list, no code of its own
//! that a browser would run. `dist/` is made from the folder `dashboard/` at the repository's top by
//! `make dashboard`; `make web` fails if it is not what that makes.
//!
//! Entry: [`file`] finds one by its path, [`POLICY`] is what a browser may do with them.

#[cfg(test)]
mod tests;

/// A file of the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it is, from the dashboard's own address: `index.html`, `assets/...`.
    pub path: &'static str,
    /// What is in it.
    pub content: &'static [u8],
}

const FILES: &[File] = &include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// What a browser may do with the dashboard: run and ask only what comes from here, and set no HTML
/// from text at all (Trusted Types). Where its test client may connect to is added by who serves it.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// All files, by path.
pub fn files() -> &'static [File] {
    FILES
}

/// The file at a path that is exactly one of the list (S90); the empty path is the page itself.
pub fn file(path: &str) -> Option<File> {
    let path = if path.is_empty() { "index.html" } else { path };
    let at = FILES.binary_search_by(|file| file.path.cmp(path)).ok()?;
    FILES.get(at).copied()
}

impl File {
    /// What it is, as HTTP says it.
    pub fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.').map(|(_, end)| end) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        }
    }

    /// Whether its name changes with its content: a browser may keep it for good.
    pub fn is_immutable(&self) -> bool {
        self.path.starts_with("assets/")
    }
}
