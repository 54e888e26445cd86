//! `nightjar pub`: publishes messages, with the options of mosquitto_pub.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use client::{Event, Inbox, Message, PublishResult};
use types::QoS;

use super::client_args::{ClientArgs, Plan, check_topic, read_options};
use super::conversation::{Conversation, Input, Persistence, Step};
use super::failure::Failure;

/// Publish messages to a server
///
/// Takes the options of mosquitto_pub. Ends when every message is sent and, at QoS 1 and 2,
/// acknowledged.
#[derive(Args, Debug, Default)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct PublishArgs {
    /// Topic to publish to
    #[arg(short, long, value_name = "TOPIC", allow_hyphen_values = true)]
    topic: Option<String>,
    /// Publish this
    #[arg(
        short,
        long,
        value_name = "MESSAGE",
        allow_hyphen_values = true,
        group = "what"
    )]
    message: Option<OsString>,
    /// Publish the content of a file
    #[arg(short, long, value_name = "FILE", group = "what")]
    file: Option<PathBuf>,
    /// Publish each line of standard input as a message of its own
    #[arg(short = 'l', long, group = "what")]
    stdin_line: bool,
    /// Publish an empty message
    #[arg(short, long, group = "what")]
    null_message: bool,
    /// Publish all of standard input as one message
    #[arg(short, long, group = "what")]
    stdin_file: bool,
    /// Have the server retain the message
    #[arg(short, long)]
    retain: bool,
    /// Publish so many times, each when the one before is done (not with --stdin-line)
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    repeat: Option<u64>,
    /// Seconds between repetitions, with fractions
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    repeat_delay: Option<Duration>,
    #[command(flatten)]
    client: ClientArgs,
}

/// Runs `nightjar pub`. Exit codes: see `failure`.
pub(crate) fn run(mut args: PublishArgs) -> ExitCode {
    let result = args.fill_from_file().and_then(|()| publish(&args));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(args.client.quiet),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl PublishArgs {
    fn fill_from_file(&mut self) -> Result<(), Failure> {
        let Some(path) = self.client.options_file() else {
            return Ok(());
        };
        let file: Self = read_options(path)?;
        self.client.fill_from(file.client);
        self.topic = self.topic.take().or(file.topic);
        if self.kind().is_none() {
            self.message = file.message;
            self.file = file.file;
            self.stdin_line = file.stdin_line;
            self.null_message = file.null_message;
            self.stdin_file = file.stdin_file;
        }
        self.retain |= file.retain;
        self.repeat = self.repeat.or(file.repeat);
        self.repeat_delay = self.repeat_delay.or(file.repeat_delay);
        Ok(())
    }

    fn kind(&self) -> Option<Kind<'_>> {
        if let Some(message) = &self.message {
            return Some(Kind::Message(message));
        }
        if let Some(file) = &self.file {
            return Some(Kind::File(file));
        }
        match self {
            Self {
                stdin_line: true, ..
            } => Some(Kind::Lines),
            Self {
                null_message: true, ..
            } => Some(Kind::Empty),
            Self {
                stdin_file: true, ..
            } => Some(Kind::Input),
            _ => None,
        }
    }

    fn template(&self, plan: &Plan) -> Result<Message, Failure> {
        let topic = self
            .topic
            .clone()
            .or_else(|| plan.url_topic.clone())
            .ok_or_else(|| Failure::new("Error: no topic; say where to publish with -t TOPIC"))?;
        check_topic(&topic, "topic to publish to")?;
        Ok(Message {
            qos: self.client.qos.unwrap_or(QoS::AtMostOnce),
            retain: self.retain,
            properties: plan.properties.publish.clone(),
            ..Message::new(topic, Vec::new())
        })
    }
}

/// What is published.
#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    Message(&'a OsString),
    File(&'a Path),
    Lines,
    Empty,
    Input,
}

impl Kind<'_> {
    /// All of the payload; `None` for lines.
    fn payload(self) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Message(message) => Ok(Some(message.clone().into_encoded_bytes())),
            Self::File(path) => {
                let name = path.display();
                let file = File::open(path)
                    .map_err(|error| Failure::new(format!("Error: cannot open {name}: {error}")))?;
                read_all(file, &name.to_string()).map(Some)
            }
            Self::Input => read_all(io::stdin().lock(), "standard input").map(Some),
            Self::Empty => Ok(Some(Vec::new())),
            Self::Lines => Ok(None),
        }
    }
}

/// Reads what fits into a message.
fn read_all(from: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut payload = Vec::new();
    from.take(u64::from(client::VARINT_MAX) + 1)
        .read_to_end(&mut payload)
        .map_err(|error| Failure::new(format!("Error: cannot read {name}: {error}")))?;
    if payload.len() > client::VARINT_MAX as usize {
        return Err(Failure::new(format!(
            "Error: {name} has more than the 268435455 bytes of an MQTT packet"
        )));
    }
    Ok(payload)
}

fn publish(args: &PublishArgs) -> Result<(), Failure> {
    let plan = args.client.plan("pub")?;
    let template = args.template(&plan)?;
    let kind = args
        .kind()
        .ok_or_else(|| Failure::new("Error: no message; give one with -m, -f, -l, -n or -s"))?;
    match kind.payload()? {
        Some(payload) => {
            let repeat = args.repeat.unwrap_or(1);
            let persistence = match repeat {
                1 => Persistence::Once,
                _ => Persistence::Forever,
            };
            let message = Message {
                payload,
                ..template
            };
            let mut conversation = Conversation::open(&plan, persistence, args.client.quiet)?;
            let delay = args.repeat_delay.unwrap_or_default();
            let result = repeat_message(&mut conversation, &message, repeat, delay);
            conversation.finish();
            result
        }
        None => {
            if args.repeat.is_some() {
                return Err(Failure::new(
                    "Error: --repeat does not go with --stdin-line",
                ));
            }
            let quiet = args.client.quiet;
            let mut conversation = Conversation::open(&plan, Persistence::Forever, quiet)?;
            let result = publish_lines(&mut conversation, &template, quiet);
            conversation.finish();
            result
        }
    }
}

/// Publishes a message again and again, each time when it is done.
fn repeat_message(
    conversation: &mut Conversation,
    message: &Message,
    repeat: u64,
    delay: Duration,
) -> Result<(), Failure> {
    let mut left = repeat;
    // When the next one is due; none while one is on its way.
    let mut due = Some(Instant::now());
    let mut connected = false;
    loop {
        if connected && left > 0 && due.is_some_and(|at| at <= Instant::now()) {
            left -= 1;
            due = None;
            conversation
                .publish(message.clone())
                .map_err(|error| Failure::request(&error))?;
        }
        match conversation.next(due.filter(|_| connected))? {
            Step::Event(Event::Connected(_)) => connected = true,
            Step::Event(Event::Published { result, .. }) => {
                check(result)?;
                if left == 0 {
                    return Ok(());
                }
                due = Instant::now().checked_add(delay);
            }
            Step::Event(_) | Step::Deadline | Step::Line(_) | Step::EndOfInput(_) => {}
            Step::Done => return Err(interrupted()),
        }
    }
}

/// Publishes the lines of standard input as they come. A message that fails is told, and the
/// others go on; the first failure is the command's.
fn publish_lines(
    conversation: &mut Conversation,
    template: &Message,
    quiet: bool,
) -> Result<(), Failure> {
    let (permits, taken) = mpsc::sync_channel(LINES_AHEAD);
    let inbox = conversation.inbox();
    thread::Builder::new()
        .name("lines".to_owned())
        .spawn(move || read_lines(&inbox, &permits))
        .map_err(|error| Failure::new(format!("Error: cannot start a thread: {error}")))?;
    let mut first = Ok(());
    let mut on_the_way: u64 = 0;
    let mut ended = false;
    loop {
        match conversation.next(None)? {
            Step::Line(payload) => {
                let message = Message {
                    payload,
                    ..template.clone()
                };
                conversation
                    .publish(message)
                    .map_err(|error| Failure::request(&error))?;
                on_the_way += 1;
            }
            Step::Event(Event::Published { result, .. }) => {
                on_the_way -= 1;
                free_place(&taken);
                first = first.and(check(result).inspect_err(|failure| {
                    failure.report(quiet);
                }));
            }
            Step::EndOfInput(error) => {
                ended = true;
                if let Some(error) = error {
                    let message = format!("Error: cannot read standard input: {error}");
                    let failure = Failure::new(message);
                    failure.report(quiet);
                    first = first.and(Err(failure));
                }
            }
            Step::Event(_) | Step::Deadline => {}
            Step::Done => return Err(interrupted()),
        }
        // A first connection that is still to come may fail.
        if ended && on_the_way == 0 && conversation.is_connected() {
            // What is to be said is said already.
            return first.map_err(|failure| Failure {
                message: String::new(),
                ..failure
            });
        }
    }
}

/// The reader may go on by one line: its permit is taken back.
fn free_place(taken: &Receiver<()>) {
    // There is a permit for each line that is on its way.
    let _ = taken.try_recv();
}

fn read_lines(inbox: &Inbox<Input>, permits: &SyncSender<()>) {
    let mut input = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let most = u64::from(client::VARINT_MAX);
        let end = match (&mut input).take(most).read_until(b'\n', &mut line) {
            Ok(0) => Input::End(None),
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                // Waits while enough lines are on their way.
                if permits.send(()).is_err() || inbox.send(Input::Line(line)).is_err() {
                    return;
                }
                continue;
            }
            Err(error) => Input::End(Some(error)),
        };
        // If nobody listens any more, the command is over.
        let _ = inbox.send(end);
        return;
    }
}

fn check(result: PublishResult) -> Result<(), Failure> {
    match result {
        PublishResult::Done(_) => Ok(()),
        PublishResult::Refused { reason, text } => Err(Failure::refused(reason, text.as_deref())),
        PublishResult::NotSent(why) => Err(Failure::not_sent(why)),
    }
}

fn interrupted() -> Failure {
    Failure::new("Interrupted before everything was published")
}

/// Lines that are on their way at once.
const LINES_AHEAD: usize = 256;

const EXAMPLES: &str = "\
Examples:
  nightjar pub -t lamp/hall -m on              say it once
  nightjar pub -t lamp/hall -m on -r -q 1      keep it for later subscribers, be sure it arrived
  sensors | nightjar pub -t sensors -l         a message for each line";
