use std::net::SocketAddr;
use std::sync::{Condvar, Mutex};

use broker::CloseReason;
use types::{ClientId, ReasonCode};

use super::*;

/// An output that several threads share and that can be held shut.
#[derive(Clone, Default)]
struct Pipe(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    written: Vec<u8>,
    shut: bool,
    /// Somebody stands before it while it is shut.
    held: bool,
}

impl Pipe {
    fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().unwrap().written.clone()).unwrap()
    }

    fn shut(&self, shut: bool) {
        self.0.0.lock().unwrap().shut = shut;
        self.0.1.notify_all();
    }

    /// A queue whose thread stands before this pipe, which is shut, with one line in its hands.
    fn holding(&self) -> (Queue, mpsc::Receiver<()>) {
        self.shut(true);
        let (queue, ended) = Queue::start(self.clone()).unwrap();
        queue.push(Item::Line(b"held\n".to_vec()));
        let state = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(state, |state| !state.held).unwrap());
        (queue, ended)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.0.lock().unwrap();
        state.held = state.shut;
        self.0.1.notify_all();
        let mut state = self.0.1.wait_while(state, |state| state.shut).unwrap();
        state.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn disconnected(client: &str) -> Event {
    Event::Disconnected {
        client: ClientId::new(client).unwrap(),
        peer: SocketAddr::from(([127, 0, 0, 1], 5)).into(),
        reason: CloseReason::Client(ReasonCode::Success),
    }
}

/// What the events give in both forms.
fn lines(events: &[Event]) -> [String; 2] {
    [Form::Text, Form::Json].map(|form| {
        let pipe = Pipe::default();
        let (queue, ended) = Queue::start(pipe.clone()).unwrap();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(queue.clone())
            .with_ansi(false);
        let registry = tracing_subscriber::registry();
        let dispatch: tracing::Dispatch = match form {
            Form::Text => registry.with(lines).into(),
            Form::Json => registry.with(lines.json().flatten_event(true)).into(),
        };
        // The log's thread has no subscriber here, so the events are formatted on this one.
        tracing::dispatcher::with_default(&dispatch, || events.iter().for_each(events::log));
        assert!(queue.items.push(Item::End));
        assert!(ended.recv().is_err(), "the thread ends");
        pipe.text()
    })
}

#[test]
fn no_client_forges_a_line() {
    let evil = "a\r\n2026-01-01T00:00:00Z  INFO root logged in\u{1b}[31m\u{85}\u{2028}\"}";
    for text in lines(&[disconnected(evil)]) {
        assert_eq!(text.lines().count(), 1, "{text}");
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(line.contains("client"), "{line}");
    }
}

#[test]
fn s82_a_line_is_bounded_however_long_the_words_of_a_client_are() {
    let long = "\u{200b}".repeat(20_000);
    let denied = Event::Denied(Box::new(broker::Denial {
        wanted: broker::Wanted::Publish,
        client: ClientId::new(&long),
        user: Some(long.as_str().into()),
        peer: None,
        topic: long.as_str().into(),
        why: None,
    }));
    for event in [disconnected(&long), denied] {
        for text in lines(&[event]) {
            assert!(
                !text.is_empty() && text.len() < 4096,
                "{} bytes",
                text.len()
            );
        }
    }
}

#[test]
fn s82_what_waits_for_the_log_is_bounded_in_bytes() {
    let pipe = Pipe::default();
    let (queue, ended) = pipe.holding();
    let long = disconnected(&"x".repeat(60_000));
    for _ in 0..2000 {
        queue.push(Item::Event(long.clone()));
    }
    let lost = queue.dropped.load(Ordering::Relaxed);
    let fit = u64::try_from(WAITING / 60_000).unwrap();
    assert_eq!(lost, 2000 - fit);
    pipe.shut(false);
    assert!(queue.items.push(Item::End));
    assert!(ended.recv().is_err(), "the thread ends");
    // What was written gives its room back.
    assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn a_shut_pipe_holds_nobody_up_and_losses_are_told() {
    let pipe = Pipe::default();
    let (queue, ended) = pipe.holding();
    for number in 0..QUEUE + 100 {
        queue.push(Item::Line(format!("{number}\n").into_bytes()));
    }
    let lost = queue.dropped.load(Ordering::Relaxed);
    assert_eq!(lost, 100);
    pipe.shut(false);
    // There is room when the first line is written.
    while !queue.items.push(Item::End) {
        std::thread::yield_now();
    }
    assert!(ended.recv().is_err(), "the thread ends");
    assert_eq!(
        queue.dropped.load(Ordering::Relaxed),
        0,
        "the losses were told"
    );
    assert_eq!(pipe.text().lines().count(), 1 + QUEUE, "one was held");
}
