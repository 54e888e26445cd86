//! Signals of the system as requests.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What the outside asks of the running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Say goodbye and end; the second time: end at once.
    End,
    /// Read the configuration again.
    Reload,
}

/// Sends signals to `requests` from now on, for as long as it is listened to.
///
/// # Errors
/// The system refused to install a handler or to start a thread.
pub(crate) fn forward<R: From<Signal> + Send + 'static>(requests: Sender<R>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for number in signals.forever() {
                let signal = if number == SIGHUP {
                    Signal::Reload
                } else {
                    Signal::End
                };
                if requests.send(R::from(signal)).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}
