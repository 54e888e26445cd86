//! Signals of the system as requests.

use std::io;
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use tracing::info;

/// What the outside asks of the running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Say goodbye and end; the second time: end at once.
    End,
    /// Read the configuration again.
    Reload,
}

/// Sends signals to `requests` from now on, for as long as it is listened to. SIGUSR1 and SIGUSR2,
/// by which Mosquitto saves its database and shows its subscriptions, end nothing: a line says what
/// is here in their place.
///
/// # Errors
/// The system refused to install a handler or to start a thread.
pub(crate) fn forward<R: From<Signal> + Send + 'static>(requests: Sender<R>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for number in signals.forever() {
                let signal = match number {
                    SIGHUP => Signal::Reload,
                    SIGUSR1 => {
                        info!("SIGUSR1: nothing to do, messages are stored as they come");
                        continue;
                    }
                    SIGUSR2 => {
                        info!("SIGUSR2: nothing to do, the dashboard shows subscriptions");
                        continue;
                    }
                    _ => Signal::End,
                };
                if requests.send(R::from(signal)).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}
