//! So many clients with a subscription each, connected to the core without sockets: what one
//! of them costs in memory and to let in.
//!
//! ```sh
//! cargo run --release -p broker --example million -- 1000000 2
//! ```

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use broker::{BrokerConfig, Shared, Worker};
use codec::{Connect, ConnectProperties, Packet, Subscribe, SubscribeFiltersBuf};
use types::{
    Action, Arrival, ConnId, Core, LinkInfo, PacketId, ProtocolVersion, QoS, SubscriptionOptions,
    Time, WorkerId,
};

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

fn connect(id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let connect = Connect {
        version: ProtocolVersion::V311,
        bridge: false,
        clean_start: true,
        keep_alive: 60,
        client_id: id,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    };
    let mut filters = SubscribeFiltersBuf::new();
    let filter = format!("device/{id}/command");
    assert!(
        filters
            .push(&filter, SubscriptionOptions::plain(QoS::AtLeastOnce))
            .is_ok()
    );
    let subscribe = Subscribe {
        packet_id: PacketId::FIRST,
        subscription_id: None,
        user: Default::default(),
        filters: filters.as_borrowed(),
    };
    for packet in [
        Packet::Connect(Box::new(connect)),
        Packet::Subscribe(subscribe),
    ] {
        assert!(codec::encode(&packet, ProtocolVersion::V311, &mut bytes).is_ok());
    }
    bytes
}

/// Carries out what a worker wants, as a loop would, and throws its output away.
fn turn(workers: &mut [Worker], at: usize, infos: &LinkInfo) {
    workers[at].end_turn(Time::ZERO);
    let mut moves = Vec::new();
    while let Some(action) = workers[at].poll_action() {
        match action {
            Action::Flush(conn) => drain(&mut workers[at], conn),
            Action::Move { to, received, .. } => moves.push((to, received)),
            Action::Mail { to, mail } => workers[to.index()].handle_mail(mail, Time::ZERO),
            Action::Pause(_) | Action::Resume(_) | Action::Close { .. } => {}
        }
    }
    for (to, received) in moves {
        let home = &mut workers[to.index()];
        let moved = LinkInfo {
            arrival: Arrival::Moved,
            ..infos.clone()
        };
        if let Some(conn) = home.handle_open(moved, Time::ZERO) {
            home.handle_bytes(conn, &received, Time::ZERO);
        }
        turn(workers, to.index(), infos);
    }
}

fn drain(worker: &mut Worker, conn: ConnId) {
    let mut slices = [IoSlice::new(&[]); 8];
    let filled = worker.output(conn, &mut slices);
    let bytes = slices.iter().take(filled).map(|slice| slice.len()).sum();
    worker.handle_written(conn, bytes, Time::ZERO);
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse::<usize>().ok());
    let clients = arguments.next().unwrap_or(1_000_000);
    let count = arguments.next().unwrap_or(2);
    let mut config = BrokerConfig::open(count, 1);
    config.limits.connections = usize::MAX;
    config.limits.sessions = usize::MAX;
    let shared = Shared::new(config);
    let mut workers: Vec<Worker> = (0u16..)
        .take(count)
        .map(|number| Worker::new(WorkerId(number), Arc::clone(&shared)))
        .collect();
    let info = LinkInfo {
        peer: types::Peer::Local(None),
        certificate: None,
        listener: 0,
        accepted: Time::ZERO,
        arrival: Arrival::Accepted,
    };
    let before = resident();
    let start = Instant::now();
    for number in 0..clients {
        let at = number % count;
        let bytes = connect(&format!("client-{number:07}"));
        if let Some(conn) = workers[at].handle_open(info.clone(), Time::ZERO) {
            workers[at].handle_bytes(conn, &bytes, Time::ZERO);
        }
        turn(&mut workers, at, &info);
    }
    let spent = start.elapsed();
    let connected: usize = workers.iter().map(Worker::connected).sum();
    let stats = shared.index.stats();
    let bytes = resident() - before;
    println!("clients connected      {connected}");
    println!("subscriptions          {}", stats.subscriptions);
    println!("resident bytes/client  {}", bytes / clients.max(1));
    println!(
        "connect+subscribe      {:.2} us each",
        spent.as_secs_f64() * 1e6 / clients as f64
    );
}
