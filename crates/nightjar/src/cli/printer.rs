//! How `nightjar sub` puts messages on standard output.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};

use client::Received;
use jiff::Zoned;

use super::failure::Failure;
use super::format::Format;

/// What is printed of a message.
#[derive(Debug)]
pub(crate) enum Style {
    /// The payload.
    Payload,
    /// The topic, a space, the payload (`-v`).
    Verbose,
    /// What `-F` says.
    Format(Format),
}

/// Whether printing makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Printed {
    /// It went well.
    Yes,
    /// The other end of the pipe is closed.
    NobodyReads,
}

/// Prints messages.
#[derive(Debug)]
pub(crate) struct Printer {
    style: Style,
    newline: bool,
    quiet: bool,
    /// The line of each topic on the screen, counted from 1 (`--watch`).
    lines: Option<HashMap<String, usize>>,
    buffer: Vec<u8>,
}

impl Printer {
    /// A printer that ends each message with a new line if `newline` says so, and that draws
    /// a line for each topic if `watch` says so.
    pub(crate) fn new(style: Style, newline: bool, watch: bool, quiet: bool) -> Self {
        Self {
            style,
            newline,
            quiet,
            lines: watch.then(HashMap::new),
            buffer: Vec::new(),
        }
    }

    /// Prints a message that arrived just now. What cannot be printed of it is told on
    /// standard error.
    pub(crate) fn print(&mut self, received: &Received) -> Result<Printed, Failure> {
        self.buffer.clear();
        if let Some(lines) = &mut self.lines {
            let next = lines.len().saturating_add(1);
            let line = *lines.entry(received.message.topic.clone()).or_insert(next);
            if next == 1 {
                self.buffer.extend_from_slice(CLEAR_SCREEN);
            }
            self.buffer
                .extend_from_slice(format!("\x1b[{line};1H\x1b[2K").as_bytes());
        }
        let message = &received.message;
        match &self.style {
            Style::Payload => self.buffer.extend_from_slice(&message.payload),
            Style::Verbose => {
                self.buffer.extend_from_slice(message.topic.as_bytes());
                self.buffer.push(b' ');
                self.buffer.extend_from_slice(&message.payload);
            }
            Style::Format(format) => {
                let rendered = format.render(received, &Zoned::now(), &mut self.buffer);
                if let Err(error) = rendered
                    && !self.quiet
                {
                    eprintln!("Error: {error} on topic {}", message.topic);
                }
            }
        }
        if self.newline {
            self.buffer.push(b'\n');
        }
        self.flush()
    }

    /// Prints how many messages came in the last second.
    pub(crate) fn print_rate(&mut self, rate: u64) -> Result<Printed, Failure> {
        self.buffer.clear();
        self.buffer
            .extend_from_slice(format!("{rate}\n").as_bytes());
        self.flush()
    }

    fn flush(&self) -> Result<Printed, Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(&self.buffer).and_then(|()| out.flush()) {
            Ok(()) => Ok(Printed::Yes),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Printed::NobodyReads),
            Err(error) => Err(Failure::new(format!(
                "Error: cannot write the output: {error}"
            ))),
        }
    }
}

const CLEAR_SCREEN: &[u8] = b"\x1b[2J";
