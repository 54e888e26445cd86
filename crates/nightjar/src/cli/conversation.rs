//! A connection that `pub` and `sub` hold: it comes back if it breaks, and it hears signals.

use std::thread;
use std::time::{Duration, Instant};

use client::{
    Client, CloseReason, Direction, DisconnectOptions, Event, Inbox, Message, RequestError,
    SubscribeRequest, Turn, UnsubscribeRequest,
};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use types::{ProtocolVersion, Ticket};

use super::client_args::Plan;
use super::failure::{Failure, may_retry};

/// What other threads of a command tell it.
#[derive(Debug)]
pub(crate) enum Input {
    /// SIGINT or SIGTERM.
    Interrupt,
    /// A line of standard input, without its end.
    Line(Vec<u8>),
    /// Standard input has ended, or could not be read.
    End(Option<std::io::Error>),
}

/// Why [`Conversation::next`] came back.
#[derive(Debug)]
pub(crate) enum Step {
    /// The session has something to tell: anything but packets and ends.
    Event(Event),
    /// A line of standard input.
    Line(Vec<u8>),
    /// Standard input has ended.
    EndOfInput(Option<std::io::Error>),
    /// The deadline has come.
    Deadline,
    /// The connection is over, as it was asked for by this side.
    Done,
}

/// How often a broken connection is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Never: the command fails.
    Once,
    /// Until it succeeds; only the very first try may fail the command.
    Forever,
}

/// A connection and what is to be done when it ends.
#[derive(Debug)]
pub(crate) struct Conversation {
    client: Client<Input>,
    disconnect: DisconnectOptions,
    version: ProtocolVersion,
    quiet: bool,
    persistence: Persistence,
    /// The server has accepted a connection at least once.
    accepted: bool,
    /// When to try again, if there is no link.
    retry: Option<Instant>,
    backoff: Duration,
    leaving: bool,
}

impl Conversation {
    /// Connects, and listens to signals from then on.
    pub(crate) fn open(
        plan: &Plan,
        persistence: Persistence,
        quiet: bool,
    ) -> Result<Self, Failure> {
        let mut client = Client::new(plan.endpoint.clone(), plan.connect.clone());
        forward_signals(client.inbox())?;
        client.open().map_err(|error| Failure::connect(&error))?;
        Ok(Self {
            client,
            disconnect: plan.disconnect.clone(),
            version: plan.connect.version,
            quiet,
            persistence,
            accepted: false,
            retry: None,
            backoff: FIRST_BACKOFF,
            leaving: false,
        })
    }

    /// For threads that have something to tell.
    pub(crate) fn inbox(&self) -> Inbox<Input> {
        self.client.inbox()
    }

    /// Whether the server has accepted the connection, and it is not over.
    pub(crate) fn is_connected(&mut self) -> bool {
        self.client.session().is_connected()
    }

    /// Hands over a message.
    pub(crate) fn publish(&mut self, message: Message) -> Result<Ticket, RequestError> {
        let now = self.client.now();
        self.client.session().publish(message, now)
    }

    /// Sends a SUBSCRIBE.
    pub(crate) fn subscribe(&mut self, request: &SubscribeRequest) -> Result<Ticket, RequestError> {
        let now = self.client.now();
        self.client.session().subscribe(request, now)
    }

    /// Sends an UNSUBSCRIBE.
    pub(crate) fn unsubscribe(
        &mut self,
        request: &UnsubscribeRequest,
    ) -> Result<Ticket, RequestError> {
        let now = self.client.now();
        self.client.session().unsubscribe(request, now)
    }

    /// Leaves in order; [`Step::Done`] follows.
    pub(crate) fn leave(&mut self) -> Result<(), Failure> {
        self.leaving = true;
        let now = self.client.now();
        match self.client.session().disconnect(&self.disconnect, now) {
            Ok(()) => Ok(()),
            Err(RequestError::NotConnected) => {
                self.client.abandon();
                Ok(())
            }
            Err(error) => Err(Failure::request(&error)),
        }
    }

    /// Ends the connection in order, if there is still one, so that the server keeps the will
    /// to itself.
    pub(crate) fn finish(&mut self) {
        // A connection that fails now has ended as well.
        if self.leave().is_ok() {
            while let Ok(step) = self.next(None) {
                if matches!(step, Step::Done) {
                    return;
                }
            }
        }
    }

    /// Goes on until there is something to do, or until the deadline.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Result<Step, Failure> {
        loop {
            if self.leaving && !self.client.has_link() {
                return Ok(Step::Done);
            }
            let until = match (deadline, self.retry) {
                (Some(deadline), Some(retry)) => Some(deadline.min(retry)),
                (deadline, retry) => deadline.or(retry),
            };
            match self.client.next(until) {
                Turn::Deadline => {
                    if deadline.is_some_and(|at| at <= Instant::now()) {
                        return Ok(Step::Deadline);
                    }
                    self.try_again();
                }
                Turn::Event(Event::Packet { direction, text }) => match direction {
                    Direction::Sent => eprintln!("> {text}"),
                    Direction::Received => eprintln!("< {text}"),
                },
                Turn::Event(Event::Closed(CloseReason::Done)) => return Ok(Step::Done),
                Turn::Event(Event::Closed(reason)) => self.handle_closed(&reason)?,
                Turn::Event(event) => {
                    if matches!(event, Event::Connected(_)) {
                        self.accepted = true;
                        self.backoff = FIRST_BACKOFF;
                    }
                    return Ok(Step::Event(event));
                }
                Turn::Input(Input::Interrupt) => self.leave()?,
                Turn::Input(Input::Line(line)) => return Ok(Step::Line(line)),
                Turn::Input(Input::End(error)) => return Ok(Step::EndOfInput(error)),
            }
        }
    }

    fn handle_closed(&mut self, reason: &CloseReason) -> Result<(), Failure> {
        if self.leaving {
            return Ok(());
        }
        let mut failure = Failure::closed(reason, self.version);
        if !self.accepted && matches!(reason, CloseReason::Link(_)) {
            failure
                .message
                .push_str("; does this port speak TLS? nightjar pub and sub do not");
        }
        if self.persistence == Persistence::Once || !self.accepted || !may_retry(reason) {
            return Err(failure);
        }
        self.wait_to_retry(&failure.message);
        Ok(())
    }

    fn try_again(&mut self) {
        if self.retry.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.retry = None;
        if let Err(error) = self.client.open() {
            self.wait_to_retry(&Failure::connect(&error).message);
        }
    }

    fn wait_to_retry(&mut self, why: &str) {
        if !self.quiet {
            eprintln!("{why}; trying again in {} s", self.backoff.as_secs());
        }
        self.retry = Instant::now().checked_add(self.backoff);
        self.backoff = self.backoff.saturating_mul(2).min(LONGEST_BACKOFF);
    }
}

/// The first signal asks to leave, a second one ends the process at once.
fn forward_signals(inbox: Inbox<Input>) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("Error: cannot listen to signals: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(failed)?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut numbers = signals.forever();
            if numbers.next().is_some()
                && inbox.send(Input::Interrupt).is_ok()
                && let Some(number) = numbers.next()
            {
                std::process::exit(128_i32.saturating_add(number));
            }
        })
        .map_err(failed)?;
    Ok(())
}

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
