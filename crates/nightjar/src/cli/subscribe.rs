//! `nightjar sub`: subscribes and prints messages, with the options of mosquitto_sub.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use client::{
    Event, Filter, Message, PublishResult, Received, SubscribeRequest, UnsubscribeRequest,
};
use types::{QoS, ReasonCode, RetainHandling, SubscriptionOptions, TopicFilter, TopicName};

use super::chance::Chance;
use super::client_args::{ClientArgs, Plan, explain, read_options};
use super::conversation::{Conversation, Persistence, Step};
use super::failure::Failure;
use super::format::{Format, Layout};
use super::printer::{Printed, Printer, Style};

/// Subscribe to topics and print the messages
///
/// Takes the options of mosquitto_sub. Goes on until it is interrupted, or until -C, -E, -W or
/// --retained-only end it; a connection that breaks is made again.
#[derive(Args, Debug, Default)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct SubscribeArgs {
    /// Topic filter to subscribe to; may be repeated
    #[arg(short, long, value_name = "FILTER", allow_hyphen_values = true)]
    topic: Vec<String>,
    /// Do not print what matches this filter; may be repeated
    #[arg(short = 'T', long, value_name = "FILTER", allow_hyphen_values = true)]
    filter_out: Vec<String>,
    /// Unsubscribe from this filter; may be repeated
    #[arg(short = 'U', long, value_name = "FILTER", allow_hyphen_values = true)]
    unsubscribe: Vec<String>,
    /// End after so many messages
    #[arg(short = 'C', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds, with exit code 27
    #[arg(short = 'W', value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    wait: Option<u64>,
    /// End as soon as the server has answered all subscriptions
    #[arg(short = 'E')]
    end_when_subscribed: bool,
    /// Print the topic before the payload
    #[arg(short, long)]
    verbose: bool,
    /// How to print: %t topic, %p payload, %x hexadecimal, %j JSON, @H time of strftime, ...
    #[arg(short = 'F', value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Do not end each message with a new line
    #[arg(short = 'N')]
    no_newline: bool,
    /// Print JSON of %j and %J in many lines
    #[arg(long)]
    pretty: bool,
    /// Print each topic in a line of its own on the terminal, always its last message
    #[arg(short, long)]
    watch: bool,
    /// Print how many messages came in each second, not the messages
    #[arg(long, conflicts_with_all = ["format", "verbose", "watch"])]
    message_rate: bool,
    /// Print this share of the messages, chosen at random: 0.1 to 100
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    random_filter: Option<f64>,
    /// Do not print retained messages
    #[arg(short = 'R', conflicts_with = "retained_only")]
    no_retained: bool,
    /// Print retained messages only, and end with the first other one
    #[arg(long)]
    retained_only: bool,
    /// Have the server forget each retained message that comes
    #[arg(long)]
    remove_retained: bool,
    /// Keep the retain flag as it was published (MQTT 5)
    #[arg(long)]
    retain_as_published: bool,
    /// When the server sends retained messages (MQTT 5): always, new or never
    #[arg(long, value_name = "WHEN", value_parser = retain_handling)]
    retain_handling: Option<RetainHandling>,
    #[command(flatten)]
    client: ClientArgs,
}

/// Runs `nightjar sub`. Exit codes: see `failure`.
pub(crate) fn run(mut args: SubscribeArgs) -> ExitCode {
    let result = args.fill_from_file().and_then(|()| subscribe(&args));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(args.client.quiet),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match (0.1..=100.0).contains(&percent) {
        true => Ok(percent),
        false => Err("a share from 0.1 to 100".to_owned()),
    }
}

fn retain_handling(text: &str) -> Result<RetainHandling, String> {
    match text {
        "always" => Ok(RetainHandling::Send),
        "new" => Ok(RetainHandling::SendIfNew),
        "never" => Ok(RetainHandling::DoNotSend),
        _ => Err("always, new or never".to_owned()),
    }
}

impl SubscribeArgs {
    fn fill_from_file(&mut self) -> Result<(), Failure> {
        let Some(path) = self.client.options_file() else {
            return Ok(());
        };
        let file: Self = read_options(path)?;
        self.client.fill_from(file.client);
        self.topic.extend(file.topic);
        self.filter_out.extend(file.filter_out);
        self.unsubscribe.extend(file.unsubscribe);
        self.count = self.count.or(file.count);
        self.wait = self.wait.or(file.wait);
        self.end_when_subscribed |= file.end_when_subscribed;
        self.verbose |= file.verbose;
        self.format = self.format.take().or(file.format);
        self.no_newline |= file.no_newline;
        self.pretty |= file.pretty;
        self.watch |= file.watch;
        self.message_rate |= file.message_rate;
        self.random_filter = self.random_filter.or(file.random_filter);
        self.no_retained |= file.no_retained;
        self.retained_only |= file.retained_only;
        self.remove_retained |= file.remove_retained;
        self.retain_as_published |= file.retain_as_published;
        self.retain_handling = self.retain_handling.or(file.retain_handling);
        Ok(())
    }

    fn style(&self) -> Result<Style, Failure> {
        let layout = match self.pretty {
            true => Layout::Pretty,
            false => Layout::Compact,
        };
        match &self.format {
            Some(text) => Format::parse(text, layout)
                .map(Style::Format)
                .map_err(|error| Failure::new(format!("Error: {error}"))),
            None if self.verbose => Ok(Style::Verbose),
            None => Ok(Style::Payload),
        }
    }

    fn options(&self, plan: &Plan) -> Result<SubscriptionOptions, Failure> {
        if plan.connect.version != types::ProtocolVersion::V5 {
            let given = [
                (self.retain_as_published, "--retain-as-published"),
                (self.retain_handling.is_some(), "--retain-handling"),
            ];
            if let Some((_, option)) = given.into_iter().find(|(given, _)| *given) {
                return Err(Failure::new(format!(
                    "Error: {option} needs MQTT 5: use -V mqttv5"
                )));
            }
        }
        Ok(SubscriptionOptions {
            retain_as_published: self.retain_as_published,
            retain_handling: self.retain_handling.unwrap_or(RetainHandling::Send),
            ..SubscriptionOptions::plain(self.client.qos.unwrap_or(QoS::AtMostOnce))
        })
    }
}

fn subscribe(args: &SubscribeArgs) -> Result<(), Failure> {
    let plan = args.client.plan("sub")?;
    let mut subscriber = Subscriber::new(args, &plan)?;
    let mut conversation = Conversation::open(&plan, Persistence::Forever, args.client.quiet)?;
    let result = subscriber.run(&mut conversation);
    conversation.finish();
    result
}

/// What `sub` does with a conversation.
#[derive(Debug)]
struct Subscriber<'a> {
    args: &'a SubscribeArgs,
    subscribe: SubscribeRequest,
    unsubscribe: UnsubscribeRequest,
    hidden: Vec<TopicFilter>,
    printer: Printer,
    /// Messages that are still to come before `-C` ends it.
    left: Option<u64>,
    /// Answers to SUBSCRIBE and UNSUBSCRIBE that are still to come.
    unanswered: u8,
    /// Retained messages that are being removed.
    removing: u64,
    ending: Ending,
    chance: Chance,
    /// Messages of this second, for `--message-rate`.
    rate: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    NotYet,
    /// As soon as nothing is on its way.
    Soon,
}

impl<'a> Subscriber<'a> {
    fn new(args: &'a SubscribeArgs, plan: &Plan) -> Result<Self, Failure> {
        let options = args.options(plan)?;
        let topics = args.topic.iter().chain(&plan.url_topic);
        let filters: Vec<_> = topics
            .map(|filter| Filter {
                filter: filter.clone(),
                options,
            })
            .collect();
        if filters.is_empty() && args.unsubscribe.is_empty() {
            return Err(Failure::new(
                "Error: no topic; say what to subscribe to with -t FILTER",
            ));
        }
        for filter in filters
            .iter()
            .map(|place| &place.filter)
            .chain(&args.unsubscribe)
        {
            types::SubscriptionFilter::parse(filter, u16::MAX)
                .map_err(|error| not_a_filter(filter, &error))?;
        }
        let hidden = args.filter_out.iter().map(|filter| {
            TopicFilter::parse(filter, u16::MAX).map_err(|error| not_a_filter(filter, &error))
        });
        Ok(Self {
            subscribe: SubscribeRequest {
                filters,
                subscription_id: plan.properties.subscription_id,
                user: plan.properties.subscribe_user.clone(),
            },
            unsubscribe: UnsubscribeRequest {
                filters: args.unsubscribe.clone(),
                user: plan.properties.unsubscribe_user.clone(),
            },
            hidden: hidden.collect::<Result<_, _>>()?,
            printer: Printer::new(
                args.style()?,
                !args.no_newline,
                args.watch,
                args.client.quiet,
            ),
            left: args.count,
            unanswered: 0,
            removing: 0,
            ending: Ending::NotYet,
            chance: Chance::new(args.random_filter),
            rate: 0,
            args,
        })
    }

    fn run(&mut self, conversation: &mut Conversation) -> Result<(), Failure> {
        // -W counts from the first connection.
        let mut end = None;
        let mut second = None;
        loop {
            match conversation.next(earlier(end, second))? {
                Step::Event(Event::Connected(_)) => {
                    let now = Instant::now();
                    let wait = self.args.wait.map(Duration::from_secs);
                    end = end.or_else(|| wait.and_then(|wait| now.checked_add(wait)));
                    second = second.or_else(|| self.next_second(now));
                    self.handle_connected(conversation)?;
                }
                Step::Event(event) => self.handle_event(event, conversation)?,
                Step::Deadline if end.is_some_and(|at| at <= Instant::now()) => {
                    return Err(Failure::timeout());
                }
                Step::Deadline => {
                    self.print_rate()?;
                    second = second.and_then(|at| at.checked_add(SECOND));
                }
                Step::Line(_) | Step::EndOfInput(_) => {}
                Step::Done => return Ok(()),
            }
            if self.ending == Ending::Soon && self.removing == 0 {
                return Ok(());
            }
        }
    }

    fn handle_connected(&mut self, conversation: &mut Conversation) -> Result<(), Failure> {
        self.unanswered = 0;
        if !self.subscribe.filters.is_empty() {
            conversation
                .subscribe(&self.subscribe)
                .map_err(|error| Failure::request(&error))?;
            self.unanswered += 1;
        }
        if !self.unsubscribe.filters.is_empty() {
            conversation
                .unsubscribe(&self.unsubscribe)
                .map_err(|error| Failure::request(&error))?;
            self.unanswered += 1;
        }
        Ok(())
    }

    fn handle_event(
        &mut self,
        event: Event,
        conversation: &mut Conversation,
    ) -> Result<(), Failure> {
        match event {
            Event::Message(received) => self.handle_message(&received, conversation),
            Event::Subscribed { reasons, .. } => {
                self.check_subscriptions(&reasons)?;
                self.handle_answer();
                Ok(())
            }
            Event::Unsubscribed { .. } => {
                self.handle_answer();
                Ok(())
            }
            Event::Published { result, .. } => {
                self.removing = self.removing.saturating_sub(1);
                match result {
                    PublishResult::Done(_) => Ok(()),
                    PublishResult::Refused { reason, text } => {
                        Err(Failure::refused(reason, text.as_deref()))
                    }
                    PublishResult::NotSent(why) => Err(Failure::not_sent(why)),
                }
            }
            Event::Connected(_) | Event::Packet { .. } | Event::Closed(_) => Ok(()),
        }
    }

    fn handle_answer(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered == 0 && self.args.end_when_subscribed {
            self.end();
        }
    }

    /// Tells which subscriptions the server refused; fails if it refused all.
    fn check_subscriptions(&self, reasons: &[ReasonCode]) -> Result<(), Failure> {
        let mut failure = None;
        for (place, reason) in self.subscribe.filters.iter().zip(reasons) {
            if reason.is_error() {
                let filter = &place.filter;
                let why = reason.as_str();
                let message =
                    format!("Error: the server refused to subscribe to '{filter}': {why}");
                let refused = Failure {
                    message,
                    code: reason.byte(),
                };
                if reasons.iter().any(|reason| !reason.is_error()) {
                    refused.report(self.args.client.quiet);
                } else {
                    failure.get_or_insert(refused);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn handle_message(
        &mut self,
        received: &Received,
        conversation: &mut Conversation,
    ) -> Result<(), Failure> {
        if self.ending != Ending::NotYet {
            return Ok(());
        }
        let message = &received.message;
        if self.args.retained_only && !message.retain {
            self.end();
            return Ok(());
        }
        if self.is_hidden(&message.topic) {
            return Ok(());
        }
        if self.args.remove_retained && message.retain && !message.payload.is_empty() {
            let empty = Message {
                retain: true,
                ..Message::new(message.topic.clone(), Vec::new())
            };
            conversation
                .publish(empty)
                .map_err(|error| Failure::request(&error))?;
            self.removing = self.removing.saturating_add(1);
        }
        if (self.args.no_retained && message.retain) || !self.chance.draw() {
            return Ok(());
        }
        self.rate = self.rate.saturating_add(1);
        if !self.args.message_rate {
            self.print(received)?;
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.end();
            }
        }
        Ok(())
    }

    fn print(&mut self, received: &Received) -> Result<(), Failure> {
        match self.printer.print(received)? {
            Printed::Yes => {}
            // Whoever read the output wants no more of it.
            Printed::NobodyReads => self.end(),
        }
        Ok(())
    }

    fn is_hidden(&self, topic: &str) -> bool {
        let Ok(topic) = TopicName::parse(topic, u16::MAX) else {
            return false;
        };
        self.hidden
            .iter()
            .any(|filter| topics::matches(filter, topic))
    }

    fn next_second(&self, now: Instant) -> Option<Instant> {
        now.checked_add(SECOND).filter(|_| self.args.message_rate)
    }

    fn print_rate(&mut self) -> Result<(), Failure> {
        let rate = std::mem::take(&mut self.rate);
        if self.printer.print_rate(rate)? == Printed::NobodyReads {
            self.end();
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.ending == Ending::NotYet {
            self.ending = Ending::Soon;
        }
    }
}

fn not_a_filter(filter: &str, error: &types::FilterError) -> Failure {
    use types::FilterError;
    let why = match error {
        FilterError::MisplacedHash => "# stands only at the end, behind a /",
        FilterError::MisplacedPlus => "+ stands only between slashes",
        FilterError::ShareName => "a shared one is $share/NAME/FILTER",
        FilterError::Topic(error) => explain(*error),
    };
    Failure::new(format!("Error: '{filter}' is not a topic filter: {why}"))
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

const SECOND: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  nightjar sub -t 'lamp/#' -v                  every lamp, with its topic
  nightjar sub -t lamp/hall -C 1 -W 5          one message, or exit code 27 after 5 seconds
  nightjar sub -t '#' -F '@H:@M:@S %t %j'      with the time, as JSON";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_before_connecting() {
        let client = ClientArgs::default();
        let plan = client.plan("sub").unwrap();
        let told = |args: &SubscribeArgs| Subscriber::new(args, &plan).unwrap_err().message;
        assert!(told(&SubscribeArgs::default()).contains("-t"));
        let wrong = vec!["a/#/b".to_owned()];
        let right = || vec!["a".to_owned()];
        let args = SubscribeArgs {
            topic: wrong.clone(),
            ..Default::default()
        };
        assert!(told(&args).contains("'a/#/b'"));
        let args = SubscribeArgs {
            topic: right(),
            filter_out: wrong,
            ..Default::default()
        };
        assert!(told(&args).contains("'a/#/b'"));
        let format = Some("%z".to_owned());
        let args = SubscribeArgs {
            topic: right(),
            format,
            ..Default::default()
        };
        assert!(told(&args).contains("%z"));
        let args = SubscribeArgs {
            topic: right(),
            retain_as_published: true,
            ..Default::default()
        };
        assert!(told(&args).contains("mqttv5"));
    }
}
