//! `[[listener]]`.

use super::{Column, LISTENER, List, Need, Short, Sorts, Wrong, column};
use crate::config::{Address, ClientCertificate, Config, Listener, Protocol};
use crate::formats::{http_path, listener_address, mount, name, network, origin};
use crate::keys::{Effect, MAX_COUNT, count};
use crate::value::{CLIENT_CERTIFICATES, DURABILITIES, Kind, PROTOCOLS, Per, TLS_VERSIONS};

pub(super) const LIST: List = List {
    name: LISTENER,
    one: "a listener",
    columns: COLUMNS,
    sorts: Sorts::One,
    known_by: Some("name"),
    short: Some(Short {
        columns: ["address", "durability"],
        form: "ADDRESS:PORT",
    }),
    effect: Effect::Reload,
    len: |config| config.listeners.len(),
    push: |config| config.listeners.push(Listener::new(Address::default())),
    copy: |config, other| config.listeners.clone_from(&other.listeners),
    check: |config, at| config.listeners.get(at).map_or_else(Vec::new, check),
};

macro_rules! key {
    ($name:ident, $kind:expr, $effect:ident) => {
        key!($name, $kind, $effect, Need::Optional)
    };
    ($name:ident, $kind:expr, $effect:ident, $need:expr) => {
        column!(listeners, stringify!($name), $kind, $need, $effect, $name)
    };
}

const COLUMNS: &[Column] = &[
    key!(
        address,
        Kind::Text(listener_address),
        Restart,
        Need::Required("\"127.0.0.1:1883\"")
    ),
    key!(name, Kind::Text(name), Restart),
    key!(protocol, Kind::Choice(PROTOCOLS), Restart),
    key!(durability, Kind::Choice(DURABILITIES), Restart),
    key!(certificates, Kind::List(&Kind::Text(name)), Restart),
    key!(
        client_certificate,
        Kind::Choice(CLIENT_CERTIFICATES),
        Restart
    ),
    key!(client_ca, Kind::File, Restart),
    key!(crl, Kind::List(&Kind::File), Restart),
    key!(tls_minimum, Kind::Choice(TLS_VERSIONS), Restart),
    key!(path, Kind::List(&Kind::Text(http_path)), Restart),
    key!(origins, Kind::List(&Kind::Text(origin)), Restart),
    key!(proxy, Kind::List(&Kind::Text(network)), Restart),
    key!(allow, Kind::List(&Kind::Text(network)), Reload),
    key!(deny, Kind::List(&Kind::Text(network)), Reload),
    key!(mount, Kind::Text(mount), Restart),
    key!(connections, count(1, MAX_COUNT), Reload),
    key!(connection_rate, Kind::Rate(Per::Piece), Reload),
    key!(message_rate, Kind::Rate(Per::Piece), Reload),
    key!(byte_rate, Kind::Rate(Per::Byte), Reload),
    key!(allow_anonymous, Kind::Flag, Reload),
    key!(authentication, Kind::List(&Kind::Text(name)), Reload),
    key!(socket_mode, Kind::Mode, Restart),
];

/// Keys that mean nothing for what the listener is. An entry that says its default is as it were
/// not said, so that what is rendered can be read.
fn check(listener: &Listener) -> Vec<Wrong> {
    let usual = Listener::new(listener.address.clone());
    let protocol = listener.protocol.as_str();
    let mut wrong: Vec<Wrong> = Vec::new();
    let mut only = |key: &'static str, is_said: bool, holds: bool, whose: &str| {
        if is_said && !holds {
            wrong.push((
                key,
                format!("listener.{key} is for {whose} only; leave it out"),
            ));
        }
    };
    let tls = listener.protocol.has_tls();
    let with_tls = "mqtts, wss and quic";
    only(
        "certificates",
        !listener.certificates.is_empty(),
        tls,
        with_tls,
    );
    let asks = listener.client_certificate != ClientCertificate::Off;
    only("client_certificate", asks, tls, with_tls);
    only("client_ca", listener.client_ca.is_some(), tls, with_tls);
    only("crl", !listener.crl.is_empty(), tls, with_tls);
    let newer = listener.tls_minimum != usual.tls_minimum;
    only("tls_minimum", newer, tls, with_tls);
    let web = listener.protocol.is_websocket();
    only("path", listener.path != usual.path, web, "ws and wss");
    only("origins", !listener.origins.is_empty(), web, "ws and wss");
    let is_ip = matches!(listener.address, Address::Ip(_));
    let networked = "IP addresses, which a Unix socket has not,";
    only("proxy", !listener.proxy.is_empty(), is_ip, networked);
    only("allow", !listener.allow.is_empty(), is_ip, networked);
    only("deny", !listener.deny.is_empty(), is_ip, networked);
    let mode = listener.socket_mode != usual.socket_mode;
    only("socket_mode", mode, !is_ip, "Unix sockets");
    let udp = listener.protocol == Protocol::Quic;
    only(
        "proxy",
        !listener.proxy.is_empty() && is_ip,
        !udp,
        "what comes by TCP",
    );
    if udp && !is_ip {
        let message = "listener.address: quic has no Unix sockets; write an IP address and a \
                       port, such as \"0.0.0.0:14567\"";
        wrong.push(("address", message.to_owned()));
    }
    if tls && listener.certificates.is_empty() {
        let message = format!(
            "listener.protocol: {protocol} shows a certificate; write certificates = [\"…\"] with \
             the name of a [[certificate]]"
        );
        wrong.push(("protocol", message));
    }
    check_client_ca(listener, &mut wrong);
    wrong
}

fn check_client_ca(listener: &Listener, wrong: &mut Vec<Wrong>) {
    if listener.client_ca.is_some() || !listener.protocol.has_tls() {
        return;
    }
    if listener.client_certificate != ClientCertificate::Off {
        let message = "listener.client_certificate: nothing says who signs clients' certificates; \
                       write client_ca = \"…\" with the file of the authorities";
        wrong.push(("client_certificate", message.to_owned()));
    }
    if !listener.crl.is_empty() {
        let message = "listener.crl: nobody is asked for a certificate that could be revoked; \
                       write client_ca = \"…\" with the file of the authorities";
        wrong.push(("crl", message.to_owned()));
    }
}

/// Puts in what depends on other keys: names, and whether clients show certificates.
pub(crate) fn complete(config: &mut Config, is_said: impl Fn(usize, &str) -> bool) {
    let mut names: Vec<String> = Vec::new();
    for (at, listener) in config.listeners.iter_mut().enumerate() {
        if listener.client_ca.is_some() && !is_said(at, "client_certificate") {
            listener.client_certificate = ClientCertificate::Required;
        }
        names.push(listener.name.clone());
    }
    for listener in config.listeners.iter_mut().filter(|it| it.name.is_empty()) {
        let name = listener.default_name();
        let mut free = name.clone();
        for number in 2_u32.. {
            if !names.contains(&free) {
                break;
            }
            free = format!("{name}-{number}");
        }
        names.push(free.clone());
        listener.name = free;
    }
}
