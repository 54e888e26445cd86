//! Ports: free, or taken by whom.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use config::{Address, Protocol};

use super::Patient;
use super::report::{Finding, Report};
use crate::foresight;

const AREA: &str = "ports";

pub(super) fn look(patient: &Patient, report: &mut Report) {
    for listener in &patient.config.listeners {
        let whose = format!("listener {}", listener.name);
        match &listener.address {
            Address::Ip(address) => {
                let is_udp = listener.protocol == Protocol::Quic;
                report.add(port(patient, &whose, *address, is_udp));
            }
            Address::Unix(path) => report.add(socket(patient, &whose, path)),
        }
    }
    let wanted = &patient.config.dashboard;
    if wanted.enabled {
        let address = wanted.address.unwrap_or(foresight::DASHBOARD);
        report.add(port(patient, "the dashboard", address, false));
    }
    if let Some(address) = patient.config.metrics.listen {
        report.add(port(patient, "metrics", address, false));
    }
}

fn port(patient: &Patient, whose: &str, address: SocketAddr, is_udp: bool) -> Finding {
    if address.port() == 0 {
        return Finding::good(
            AREA,
            format!("{whose} takes any free port of {}", address.ip()),
        );
    }
    let kind = if is_udp { "UDP" } else { "TCP" };
    let tried = match is_udp {
        true => UdpSocket::bind(address).map(drop),
        false => TcpListener::bind(address).map(drop),
    };
    let Err(error) = tried else {
        return Finding::good(AREA, format!("{whose}: {kind} {address} is free"));
    };
    refused(patient, whose, address, kind, &error)
}

fn refused(
    patient: &Patient,
    whose: &str,
    address: SocketAddr,
    kind: &str,
    error: &io::Error,
) -> Finding {
    match error.kind() {
        ErrorKind::AddrInUse => {
            let holder = holder(address, kind == "UDP");
            if let (Some(server), Some(holder)) = (&patient.running, &holder)
                && holder.pid == server.pid
            {
                let what = format!("{whose}: {kind} {address} is the running server's");
                return Finding::good(AREA, what);
            }
            let by = holder.map_or_else(
                || "by a process that this user may not see".to_owned(),
                |it| format!("by {} (process {})", it.name, it.pid),
            );
            let what = format!("{whose}: {kind} {address} is taken {by}");
            Finding::problem(AREA, what, "end that one, or choose another port")
                .figure("port", address.port())
        }
        ErrorKind::PermissionDenied => Finding::problem(
            AREA,
            format!("{whose}: this user may not listen on {kind} {address}"),
            "choose a port above 1023, or give the service CAP_NET_BIND_SERVICE",
        ),
        ErrorKind::AddrNotAvailable => Finding::problem(
            AREA,
            format!("{whose}: this machine has no address {}", address.ip()),
            "use 0.0.0.0 or [::] for all that it has, or 127.0.0.1 for this machine only",
        ),
        _ => Finding::problem(
            AREA,
            format!("{whose}: {kind} {address}: {error}"),
            "choose another address",
        ),
    }
}

#[cfg(unix)]
fn socket(patient: &Patient, whose: &str, path: &Path) -> Finding {
    use std::os::unix::fs::FileTypeExt;
    let shown = path.display();
    match path.symlink_metadata() {
        Err(_) => {
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            match folder.is_dir() {
                true => Finding::good(AREA, format!("{whose}: {shown} is free")),
                false => Finding::problem(
                    AREA,
                    format!("{whose}: there is no folder {}", folder.display()),
                    "make it, for the server's user",
                ),
            }
        }
        Ok(found) if !found.file_type().is_socket() => Finding::problem(
            AREA,
            format!("{whose}: {shown} is something else than a socket"),
            "move it away, or name another path",
        ),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(_) => Finding::good(AREA, format!("{whose}: nobody listens on {shown}")),
            Ok(_) if patient.running.is_some() => {
                Finding::good(AREA, format!("{whose}: {shown} is served"))
            }
            Ok(_) => Finding::problem(
                AREA,
                format!("{whose}: another process listens on {shown}"),
                "end that one, or name another path",
            ),
        },
    }
}

#[cfg(not(unix))]
fn socket(_: &Patient, whose: &str, path: &Path) -> Finding {
    let what = format!(
        "{whose}: {}: this system has no Unix sockets",
        path.display()
    );
    Finding::problem(AREA, what, "name an IP address")
}

/// Who has a port.
struct Holder {
    pid: u32,
    name: String,
}

/// The process that has a port, as far as this user may see it (Linux).
fn holder(address: SocketAddr, is_udp: bool) -> Option<Holder> {
    let kind = if is_udp { "udp" } else { "tcp" };
    let tables = [format!("/proc/net/{kind}"), format!("/proc/net/{kind}6")];
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| inodes(&table, address, is_udp))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let wanted: Vec<String> = inodes.iter().map(|it| format!("socket:[{it}]")).collect();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let has = files.flatten().any(|file| {
            let target = std::fs::read_link(file.path()).unwrap_or_default();
            wanted.iter().any(|it| Path::new(it) == target)
        });
        if has {
            let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let name = name.trim().escape_debug().to_string();
            return Some(Holder { pid, name });
        }
    }
    None
}

/// The sockets of a table of /proc/net that listen on this port, at this address or at all.
fn inodes(table: &str, address: SocketAddr, is_udp: bool) -> Vec<String> {
    // LISTEN, and the state of a UDP socket that is bound.
    let state = if is_udp { "07" } else { "0A" };
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, found, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (host, port) = local.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let is_it = *found == state && port == address.port() && overlaps(host, address.ip());
        is_it.then(|| (*inode).to_owned())
    });
    rows.collect()
}

/// Whether an address of the table is this one, or one of them stands for all.
fn overlaps(host: &str, address: IpAddr) -> bool {
    let is_any = host.bytes().all(|digit| digit == b'0');
    match address {
        _ if is_any || address.is_unspecified() => true,
        IpAddr::V4(four) => {
            let word = u32::from_str_radix(host, 16).ok();
            host.len() == 8 && word.is_some_and(|it| Ipv4Addr::from(it.to_ne_bytes()) == four)
        }
        // Names of another process are worth less than the code that tells all forms apart.
        IpAddr::V6(_) => host.len() == 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_port_that_is_taken_has_a_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let holder = holder(address, false).unwrap();
        assert_eq!(holder.pid, std::process::id());
        assert!(!holder.name.is_empty());
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(
            super::holder(address, true).unwrap().pid,
            std::process::id()
        );
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_of_the_system_s_table_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt \
                     uid  timeout inode\n   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 \
                     00:00000000 00000000  0  0 4242 1 0 100 0 0 10 0\n";
        let found = |address: &str| inodes(table, address.parse().unwrap(), false);
        assert_eq!(found("127.0.0.1:1883"), ["4242"]);
        assert_eq!(found("0.0.0.0:1883"), ["4242"]);
        assert!(found("127.0.0.2:1883").is_empty());
        assert!(found("127.0.0.1:1884").is_empty());
    }
}
