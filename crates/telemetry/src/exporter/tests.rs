use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::metric::{Kind, Number, Point};
use crate::{SpanId, TraceId};

/// A collector that gives the answers it was told, and then says yes to all.
struct Collector {
    url: String,
    requests: Receiver<(String, Json)>,
}

impl Collector {
    fn new(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let (tell, requests) = channel();
        let answers = Arc::new(Mutex::new(answers.to_vec()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (tell, answers) = (tell.clone(), Arc::clone(&answers));
                let serve = move || {
                    let mut stream = stream.unwrap();
                    while let Some(request) = read(&mut stream) {
                        let mut answers = answers.lock().unwrap();
                        let answer = match answers.is_empty() {
                            true => "200 OK\r\ncontent-length: 2\r\n\r\n{}",
                            false => answers.remove(0),
                        };
                        write!(stream, "HTTP/1.1 {answer}").unwrap();
                        // The test may be over.
                        let _over = tell.send(request);
                    }
                };
                std::thread::spawn(serve);
            }
        });
        Self { url, requests }
    }

    fn request(&self) -> (String, Json) {
        self.requests
            .recv_timeout(Duration::from_secs(20))
            .expect("a request")
    }
}

fn read(stream: &mut TcpStream) -> Option<(String, Json)> {
    let mut lines = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(text) = lower.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if lower.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some((head, serde_json::from_slice(&body).unwrap()))
}

/// Has so many spans, and one metric.
struct Stock(Mutex<usize>);

impl Source for Stock {
    fn metrics(&self) -> Vec<Metric> {
        vec![Metric {
            name: "x".into(),
            description: "",
            unit: "",
            kind: Kind::Gauge,
            points: vec![Point {
                labels: Vec::new(),
                number: Number::Whole(1),
            }],
        }]
    }

    fn spans(&self, most: usize) -> Vec<Span> {
        let mut left = self.0.lock().unwrap();
        let taken = most.min(*left);
        *left -= taken;
        let span = Span {
            trace: TraceId::new(1).unwrap(),
            id: SpanId::new(2).unwrap(),
            parent: None,
            is_remote: false,
            state: Box::default(),
            name: "receive",
            kind: crate::span::Kind::Consumer,
            start: 1,
            end: 2,
            attributes: Vec::new(),
            events: Vec::new(),
            dropped_events: 0,
            error: None,
        };
        vec![span; taken]
    }
}

struct Bench {
    figures: Arc<Figures>,
    notices: Receiver<Notice>,
    exporter: Exporter,
}

impl Bench {
    fn traces(&self) -> &crate::figures::Figure {
        self.figures.of(Signal::Traces)
    }
}

fn settings(url: &str) -> Settings {
    Settings {
        endpoint: url.into(),
        headers: vec![("x-key".into(), "k3y".into())],
        ca: None,
        timeout: Duration::from_secs(10),
        resource: Vec::new(),
        version: "1",
        metrics: None,
        traces: true,
        started: UNIX_EPOCH,
    }
}

fn bench(settings: &Settings, spans: usize) -> Bench {
    let figures = Arc::new(Figures::default());
    let (tell, notices) = channel();
    let tell = Mutex::new(tell);
    let exporter = Exporter::start_with(
        settings,
        Arc::new(Stock(Mutex::new(spans))),
        (
            Arc::clone(&figures),
            Arc::new(move |notice| drop(tell.lock().unwrap().send(notice))),
        ),
        Duration::from_millis(100),
    );
    Bench {
        figures,
        notices,
        exporter: exporter.unwrap(),
    }
}

fn spans(request: &Json) -> usize {
    let spans = &request["resourceSpans"][0]["scopeSpans"][0]["spans"];
    spans.as_array().expect("spans").len()
}

#[test]
fn spans_go_in_batches_and_the_end_sends_the_rest() {
    let collector = Collector::new(&[]);
    let bench = bench(&settings(&collector.url), BATCH + 1);
    drop(bench.exporter);
    let (head, first) = collector.request();
    assert!(
        head.starts_with("POST /base/v1/traces HTTP/1.1\r\n"),
        "{head}"
    );
    let head = head.to_ascii_lowercase();
    assert!(
        head.contains("content-type: application/json\r\n"),
        "{head}"
    );
    assert!(head.contains("x-key: k3y\r\n"), "{head}");
    assert_eq!((spans(&first), spans(&collector.request().1)), (BATCH, 1));
    let traces = bench.figures.of(Signal::Traces);
    assert_eq!((traces.sent(), traces.dropped()), (BATCH as u64 + 1, 0));
    assert!(bench.notices.try_recv().is_err());
}

#[test]
fn what_is_refused_for_a_while_is_sent_again() {
    let collector = Collector::new(&[
        "503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        "429 Slow\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
    ]);
    let bench = bench(&settings(&collector.url), 3);
    let asked: Vec<usize> = (0..3).map(|_| spans(&collector.request().1)).collect();
    assert_eq!(asked, [3, 3, 3]);
    let told: Vec<_> = (0..2)
        .map(|_| bench.notices.recv_timeout(Duration::from_secs(20)).unwrap())
        .collect();
    let signal = Signal::Traces;
    let why = "status 503".into();
    assert_eq!(
        told,
        [Notice::Failed { signal, why }, Notice::Recovered { signal }]
    );
    let traces = bench.figures.of(signal);
    assert_eq!(
        (traces.sent(), traces.dropped(), traces.failures()),
        (3, 0, 2)
    );
    assert_eq!(bench.exporter.failing(signal), None);
}

#[test]
fn what_is_refused_for_good_is_counted_and_not_sent_again() {
    let collector = Collector::new(&[
        "400 No\r\ncontent-length: 0\r\n\r\n",
        "307 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ]);
    for _ in 0..2 {
        let bench = bench(&settings(&collector.url), 2);
        assert_eq!(spans(&collector.request().1), 2);
        let failed = bench.notices.recv_timeout(Duration::from_secs(20));
        assert!(matches!(failed, Ok(Notice::Failed { .. })), "{failed:?}");
        assert!(bench.exporter.failing(Signal::Traces).is_some());
        assert!(bench.exporter.failing(Signal::Metrics).is_none());
        drop(bench.exporter);
        let traces = bench.figures.of(Signal::Traces);
        assert_eq!(
            (traces.sent(), traces.dropped(), traces.failures()),
            (0, 2, 1)
        );
    }
    assert!(collector.requests.try_recv().is_err());
}

#[test]
fn what_the_collector_took_only_in_part_is_counted() {
    let collector = Collector::new(&[
        "200 OK\r\ncontent-length: 40\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"2\"}}",
    ]);
    let bench = bench(&settings(&collector.url), 5);
    drop(bench.exporter);
    let traces = bench.figures.of(Signal::Traces);
    assert_eq!((traces.sent(), traces.dropped()), (3, 2));
    assert_eq!(
        rejected(b"{\"partialSuccess\":{\"rejectedDataPoints\":7}}"),
        7
    );
    assert_eq!(
        (rejected(b""), rejected(b"{\"partialSuccess\":null}")),
        (0, 0)
    );
}

#[test]
fn a_collector_that_rejects_all_of_it_has_failed() {
    let collector = Collector::new(&[
        "200 OK\r\ncontent-length: 38\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":5}} ",
    ]);
    let bench = bench(&settings(&collector.url), 5);
    let told = bench.notices.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(told, Notice::Failed { .. }), "{told:?}");
    assert!(bench.exporter.failing(Signal::Traces).is_some());
    let traces = bench.traces();
    assert_eq!(
        (traces.sent(), traces.dropped(), traces.failures()),
        (0, 5, 1)
    );
}

#[test]
fn the_status_is_the_answer_whatever_is_behind_it() {
    for answer in [
        // It breaks off, is too long, makes no sense, or never ends.
        "200 OK\r\ncontent-length: 99999999\r\n\r\n{",
        "200 OK\r\ncontent-length: 4\r\n\r\nwhat",
    ] {
        let collector = Collector::new(&[answer]);
        let bench = bench(&settings(&collector.url), 3);
        assert_eq!(spans(&collector.request().1), 3);
        let deadline = Instant::now() + Duration::from_secs(20);
        while bench.traces().sent() < 3 {
            assert!(Instant::now() < deadline, "{answer}");
            std::thread::yield_now();
        }
        assert_eq!(bench.traces().failures(), 0);
        assert!(collector.requests.try_recv().is_err());
    }
}

#[test]
fn a_collector_can_lengthen_a_pause_and_not_shorten_it() {
    let collector = Collector::new(&["503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"; 4]);
    let begun = Instant::now();
    let _bench = bench(&settings(&collector.url), 1);
    for _ in 0..5 {
        assert_eq!(spans(&collector.request().1), 1);
    }
    // At least half of 100, 200, 400 and 800 ms.
    assert!(begun.elapsed() >= Duration::from_millis(750));
}

/// Answers each request only after a while.
fn slow(pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                while read(&mut stream).is_some() {
                    let (_never, wait) = channel::<()>();
                    // What a slow one does.
                    assert!(wait.recv_timeout(pause).is_err());
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[test]
fn the_end_has_one_deadline_for_all_that_is_left() {
    let bench = bench(&settings(&slow(LAST * 3 / 4)), BATCH * 10);
    let begun = Instant::now();
    drop(bench.exporter);
    assert!(begun.elapsed() < LAST * 2, "{:?}", begun.elapsed());
    let traces = bench.figures.of(Signal::Traces);
    assert_eq!(traces.sent(), BATCH as u64);
    assert_eq!(traces.dropped(), BATCH as u64 * 9);
}

#[test]
fn metrics_go_out_at_the_end_too() {
    let collector = Collector::new(&[]);
    let settings = Settings {
        metrics: Some(Duration::from_secs(3600)),
        traces: false,
        ..settings(&collector.url)
    };
    let bench = bench(&settings, 1);
    drop(bench.exporter);
    let (head, request) = collector.request();
    assert!(head.starts_with("POST /base/v1/metrics "), "{head}");
    let metric = &request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
    assert_eq!(metric["name"], "x");
    assert_eq!(bench.figures.of(Signal::Metrics).sent(), 1);
    assert_eq!(bench.figures.of(Signal::Traces).sent(), 0);
}

#[test]
fn an_end_does_not_wait_for_a_collector_that_is_not_there() {
    // Nobody accepts, and nobody refuses.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bench = bench(&settings(&url), BATCH * 2);
    let begun = Instant::now();
    drop(bench.exporter);
    assert!(begun.elapsed() < LAST * 2, "{:?}", begun.elapsed());
    assert!(bench.figures.of(Signal::Traces).dropped() > 0);
}

#[test]
fn s71_neither_settings_nor_problems_show_a_secret() {
    let mut wrong = settings("http://u:pa55@h/?x");
    let shown = format!("{wrong:?}");
    assert!(!shown.contains("k3y") && !shown.contains("pa55"), "{shown}");
    let started = |settings: &Settings| {
        Exporter::start(
            settings,
            Arc::new(Stock(Mutex::new(0))),
            Arc::default(),
            Arc::new(|_| {}),
        )
        .unwrap_err()
        .to_string()
    };
    assert_eq!(started(&wrong), "the endpoint ends before ? and #");
    wrong.endpoint = "http://h".into();
    wrong.headers = vec![("x y".into(), "k3y".into())];
    assert_eq!(started(&wrong), "the header \"x y\" is none");
    wrong.headers = vec![("x".into(), "k3y\n".into())];
    assert_eq!(started(&wrong), "the header \"x\" is none");
    wrong.headers = vec![("Content-Type".into(), "k3y".into())];
    assert!(!started(&wrong).contains("k3y"));
}
