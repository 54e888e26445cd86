//! Figures, health, events, metrics.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::house::House;
use crate::Stamp;
use crate::alarms::Severity;
use crate::server::Figures;
use crate::server::figures::{Counts, Machine, Names, Overview, Sample};

pub(crate) struct FakeFigures {
    overviews: watch::Sender<Arc<Overview>>,
    ready: std::sync::Mutex<Result<(), &'static str>>,
}

impl Default for FakeFigures {
    fn default() -> Self {
        let overview = Overview {
            version: "1.2.3".into(),
            node: "n".into(),
            uptime_ms: 61_500,
            started_at: Stamp::from_millis(0),
            connections: 3,
            sessions: 4,
            subscriptions: 5,
            shared_subscriptions: 1,
            topics: 2,
            retained: 6,
            messages_in_per_s: 1.5,
            messages_out_per_s: 2.5,
            dropped_per_s: 0.0,
            bytes_in_per_s: 10.0,
            bytes_out_per_s: 20.0,
            cpu_percent: Some(12.5),
            memory_bytes: Some(1000),
            disk_bytes: None,
            disk_free_bytes: Some(7),
            open_files: Some(8),
            open_files_limit: Some(9),
            workers: Vec::new(),
            store: None,
            alarms: 0,
        };
        let (overviews, _) = watch::channel(Arc::new(overview));
        Self {
            overviews,
            ready: std::sync::Mutex::new(Ok(())),
        }
    }
}

impl Figures for FakeFigures {
    fn overview(&self) -> Arc<Overview> {
        self.overviews.borrow().clone()
    }

    fn overviews(&self) -> watch::Receiver<Arc<Overview>> {
        self.overviews.subscribe()
    }

    fn monitor(&self, latest: Duration) -> Vec<Sample> {
        vec![Sample {
            time_stamp: latest.as_secs(),
            ..Sample::default()
        }]
    }

    fn counts(&self) -> Counts {
        Counts {
            messages_received: [1, 2, 3],
            drops: vec![("queue_full", 4), ("expired", 5)],
            ..Counts::default()
        }
    }

    fn machine(&self) -> Machine {
        Machine::default()
    }

    fn names(&self) -> Names {
        Names::Own
    }

    fn readiness(&self) -> Result<(), &'static str> {
        *self.ready.lock().unwrap()
    }
}

#[test]
fn figures_are_told_in_emqxs_shapes() {
    let house = House::new();
    assert_eq!(house.ask("GET", "/overview", None)["connections"], 3);
    assert_eq!(house.ask("GET", "/monitor", None)[0]["time_stamp"], 3600);
    let week = house.ask("GET", "/monitor?latest=604800", None);
    assert_eq!(week[0]["time_stamp"], 604_800);
    for wrong in ["0", "604801", "-1", "99999999999", "x"] {
        let (status, ..) = house.refused("GET", &format!("/monitor?latest={wrong}"), None);
        assert_eq!(status, 400, "{wrong}");
    }
    let now = house.ask("GET", "/monitor_current", None);
    assert_eq!(
        (&now["live_connections"], &now["node_uptime"]),
        (&3.into(), &61.into())
    );
    let stats = house.ask("GET", "/stats", None);
    assert_eq!(
        (&stats[0]["sessions.count"], &stats[0]["node"]),
        (&4.into(), &"n".into())
    );
    let metrics = house.ask("GET", "/metrics?aggregate=true", None);
    assert_eq!(metrics["messages.received"], 6);
    assert_eq!(metrics["messages.qos2.received"], 3);
    assert_eq!(metrics["delivery.dropped.expired"], 5);
    assert_eq!(metrics.get("node"), None);
    assert_eq!(
        house.ask("GET", "/nodes", None)[0]["node_status"],
        "running"
    );
}

/// Reads the answer to a request whose answer ends with the connection.
fn plain(house: &House, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = house.raw(request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn prometheus_reads_text_at_both_paths() {
    let house = House::new();
    house
        .fake
        .alarms
        .raise(Severity::Critical, "disk", "d", "full");
    for path in ["/metrics", "/api/v5/prometheus/stats"] {
        let (head, text) = plain(&house, path);
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        for line in [
            "nightjar_connections 3",
            "nightjar_messages_received_total{qos=\"1\"} 2",
            "nightjar_alarms_active{severity=\"critical\"} 1",
            "# TYPE nightjar_process_cpu_percent gauge",
            "nightjar_process_cpu_percent 12.5",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }
    // The second reading counts the request of the first.
    let (_, text) = plain(&house, "/metrics");
    assert!(
        text.contains("nightjar_api_requests_total{code=\"2xx\"} 2\n"),
        "{text}"
    );
}

#[test]
fn probes_hear_one_word() {
    let house = House::new();
    assert_eq!(plain(&house, "/livez").1, "ok");
    assert_eq!(plain(&house, "/readyz").1, "ok");
    *house.fake.figures.ready.lock().unwrap() = Err("store");
    let (head, body) = plain(&house, "/readyz");
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert_eq!(body, "store");
    assert_eq!(plain(&house, "/livez").1, "ok");
}

#[test]
fn alarms_that_are_over_are_forgotten_and_that_is_noted() {
    let house = House::new();
    house.fake.alarms.raise(Severity::Warning, "a", "x", "");
    house.fake.alarms.raise(Severity::Warning, "b", "x", "");
    house.fake.alarms.clear("a", "x");
    assert_eq!(house.ask("DELETE", "/alarms", None), Value::Null);
    let left = house.ask("GET", "/alarms", None);
    assert_eq!(left["meta"]["count"], 1);
    assert_eq!(left["data"][0]["severity"], "warning");
    assert_eq!(house.line().operation, "alarms.forget");
}

/// The next event of a stream: its name and its data.
fn event(stream: &mut impl BufRead) -> Option<(String, Value)> {
    let mut name = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if let Some(it) = line.strip_prefix("event: ") {
            name = it.trim().into();
        } else if let Some(data) = line.strip_prefix("data: ") {
            return Some((name, serde_json::from_str(data).unwrap()));
        }
    }
}

fn follow(house: &House) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(house.socket()).unwrap();
    stream
        .write_all(b"GET /api/v5/events HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    BufReader::new(stream)
}

#[test]
fn events_come_as_they_happen_and_end_with_the_server() {
    // One request at a time: a stream is not one.
    let mut house = House::with(|settings| settings.requests = 1);
    let mut stream = follow(&house);
    let first = [event(&mut stream).unwrap(), event(&mut stream).unwrap()];
    assert_eq!(first[0], ("alarm".into(), serde_json::json!({"active": 0})));
    assert_eq!(
        (&*first[1].0, &first[1].1["sessions"]),
        ("overview", &4.into())
    );
    house.fake.alarms.raise(Severity::Info, "a", "x", "");
    assert_eq!(event(&mut stream).unwrap().1["active"], 1);
    house.fake.figures.overviews.send_modify(|overview| {
        Arc::make_mut(overview).sessions = 99;
    });
    assert_eq!(event(&mut stream).unwrap().1["sessions"], 99);
    assert_eq!(house.ask("GET", "/status", None)["sessions"], 4);
    house.api.take().expect("it runs").stop();
    assert_eq!(event(&mut stream), None);
}

#[test]
fn so_many_follow_and_no_more() {
    let house = House::new();
    let mut streams: Vec<_> = (0..64).map(|_| follow(&house)).collect();
    for stream in &mut streams {
        assert!(event(stream).is_some());
    }
    let (status, ..) = house.refused("GET", "/events", None);
    assert_eq!(status, 503);
    // Who goes makes room, as soon as the server has noticed.
    drop(streams.pop());
    let again = loop {
        house.fake.figures.overviews.send_modify(|_| {});
        let mut stream = follow(&house);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if line.contains("200") {
            break stream;
        }
    };
    drop(again);
}

#[test]
fn s91_the_port_of_metrics_has_metrics_and_health_and_nothing_else() {
    let house = House::with(|settings| {
        settings.metrics = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        settings.metrics_hosts = vec!["metrics.local".into()];
    });
    let at = house.api.as_ref().unwrap().metrics().unwrap();
    let status = |method: &str, path: &str, host: &str| -> u16 {
        let mut stream = TcpStream::connect(at).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(status("GET", path, "localhost"), 200, "{path}");
        assert_eq!(status("GET", path, "metrics.local"), 200, "{path}");
        assert_eq!(status("GET", path, "evil.example"), 421, "{path}");
    }
    for route in crate::routes::TABLE {
        if !crate::routes::SCRAPED.contains(&route.path) {
            let path = route.path.replace(['{', '}'], "");
            assert_eq!(status("GET", &path, "localhost"), 404, "{path}");
        }
    }
    assert_eq!(status("POST", "/metrics", "localhost"), 405);
}
