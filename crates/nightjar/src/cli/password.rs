//! A new password: from a terminal, without showing it, or from standard input.

use std::io::{self, BufRead, IsTerminal, Write};

use auth::Secret;

use super::failure::Failure;

/// Most bytes of a line that is read.
const LINE: u64 = 64 * 1024;

/// A password that somebody typed.
pub(crate) struct Typed(Secret);

impl Typed {
    /// Bytes that were given in another way.
    pub(crate) fn of(text: &str) -> Self {
        Self(Secret::new(text.as_bytes()))
    }

    /// For who hashes it.
    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }

    /// For the API, which takes text.
    ///
    /// # Errors
    /// It is no UTF-8.
    pub(crate) fn to_text(&self) -> Result<String, Failure> {
        let text = String::from_utf8(self.0.reveal().to_vec());
        text.map_err(|_| Failure::new("the password is no text (UTF-8)"))
    }
}

/// Asks for a new password, twice if somebody types it; without a terminal, a line of standard
/// input is it.
///
/// # Errors
/// There is none, or the two are not the same.
pub(crate) fn new(prompt: &str) -> Result<Typed, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return checked(line()?);
    }
    let typed = checked(hidden(&format!("{prompt}: "))?)?;
    let again = checked(hidden("Again: ")?)?;
    match typed.0.reveal() == again.0.reveal() {
        true => Ok(typed),
        false => Err(Failure::new("the two are not the same")),
    }
}

fn checked(typed: Typed) -> Result<Typed, Failure> {
    match typed.0.reveal() {
        [] => Err(Failure::new("an empty password is none")),
        _ => Ok(typed),
    }
}

/// One line, without its end.
fn line() -> Result<Typed, Failure> {
    let mut bytes = Vec::new();
    let mut input = io::Read::take(io::stdin().lock(), LINE);
    let read = input.read_until(b'\n', &mut bytes);
    read.map_err(|error| Failure::new(format!("the password cannot be read: {error}")))?;
    let end = bytes.iter().rev().take_while(|one| b"\r\n".contains(one));
    let length = bytes.len() - end.count();
    let typed = Typed(Secret::new(&bytes[..length]));
    bytes.fill(0);
    Ok(typed)
}

/// One line of a terminal that does not show it.
fn hidden(prompt: &str) -> Result<Typed, Failure> {
    let failed = |error| Failure::new(format!("the terminal: {error}"));
    let mut out = io::stderr().lock();
    write!(out, "{prompt}")
        .and_then(|()| out.flush())
        .map_err(failed)?;
    let quiet = quiet::Quiet::begin().map_err(failed)?;
    let typed = line();
    drop(quiet);
    writeln!(out).map_err(failed)?;
    let typed = typed?;
    match typed.0.reveal().contains(&quiet::INTERRUPT) {
        true => Err(Failure::new("interrupted")),
        false => Ok(typed),
    }
}

#[cfg(unix)]
mod quiet {
    use std::io;

    use rustix::termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
    };

    /// What Ctrl-C types. It ends the line here, so that the terminal is put right again.
    pub(super) const INTERRUPT: u8 = 3;

    /// A terminal that shows nothing, until this is dropped.
    pub(super) struct Quiet(Termios);

    impl Quiet {
        pub(super) fn begin() -> io::Result<Self> {
            let before = tcgetattr(io::stdin())?;
            let mut quiet = before.clone();
            quiet
                .local_modes
                .remove(LocalModes::ECHO | LocalModes::ISIG);
            quiet.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
            tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
            Ok(Self(before))
        }
    }

    impl Drop for Quiet {
        fn drop(&mut self) {
            // There is nobody to tell; `stty sane` helps.
            let _lost = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        }
    }
}

#[cfg(not(unix))]
mod quiet {
    use std::io;

    pub(super) const INTERRUPT: u8 = 3;

    pub(super) struct Quiet;

    impl Quiet {
        /// What is typed would be seen here.
        pub(super) fn begin() -> io::Result<Self> {
            let words = "it cannot be kept from showing the password; pipe it in";
            Err(io::Error::new(io::ErrorKind::Unsupported, words))
        }
    }
}
