//! Settings of the kernel that bound a server (Linux).

use std::fs;

use config::Protocol;

use super::Patient;
use super::report::{Finding, Report};

const AREA: &str = "kernel";

/// The smallest value that does no harm, and why.
struct Setting {
    name: &'static str,
    least: u64,
    why: &'static str,
}

pub(super) fn look(patient: &Patient, report: &mut Report) {
    let connections = super::machine::connections(patient);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for setting in settings(connections, has_quic(patient)) {
        // What this kernel does not have does not bound anything.
        let Some(found) = read(setting.name) else {
            continue;
        };
        match found >= setting.least {
            true => good.push(setting.name),
            false => bad.push((setting, found)),
        }
    }
    if bad.is_empty() && !good.is_empty() {
        let what = format!("{} settings bound nothing", good.len());
        report.add(Finding::good(AREA, what));
    }
    for (setting, found) in bad {
        report.add(
            Finding::warning(
                AREA,
                format!("{} is {found}: {}", setting.name, setting.why),
                format!("sysctl -w {}={}", setting.name, setting.least),
            )
            .figure("value", found)
            .figure("wanted", setting.least),
        );
    }
    if read("vm.overcommit_memory") == Some(2) {
        report.add(Finding::note(
            AREA,
            "vm.overcommit_memory is 2: memory that is only reserved counts too",
        ));
    }
}

fn has_quic(patient: &Patient) -> bool {
    let mut listeners = patient.config.listeners.iter();
    listeners.any(|one| one.protocol == Protocol::Quic)
}

fn settings(connections: u64, has_quic: bool) -> Vec<Setting> {
    let mut settings = vec![
        Setting {
            name: "net.core.somaxconn",
            least: 1024,
            why: "clients that connect all at once are turned away",
        },
        Setting {
            name: "net.ipv4.tcp_max_syn_backlog",
            least: 512,
            why: "clients that connect all at once are turned away",
        },
        Setting {
            name: "fs.file-max",
            least: connections.saturating_mul(2),
            why: "the whole machine may not open as many files as limits.connections needs",
        },
        Setting {
            name: "net.netfilter.nf_conntrack_max",
            least: connections,
            why: "the firewall forgets connections beyond it, fewer than limits.connections",
        },
    ];
    if has_quic {
        settings.push(Setting {
            name: "net.core.rmem_max",
            least: 2 << 20,
            why: "datagrams of QUIC are lost when many come at once",
        });
    }
    settings
}

/// A setting's first number.
fn read(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let text = fs::read_to_string(path).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_follows_the_connections() {
        let least = |connections, name: &str| {
            let all = settings(connections, true);
            all.iter().find(|one| one.name == name).unwrap().least
        };
        assert_eq!(least(100_000, "fs.file-max"), 200_000);
        assert_eq!(least(100_000, "net.netfilter.nf_conntrack_max"), 100_000);
        assert!(
            settings(1, false)
                .iter()
                .all(|one| one.name != "net.core.rmem_max")
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn settings_are_read() {
        assert!(read("fs.file-max").is_some_and(|it| it > 0));
        assert_eq!(read("no.such.setting"), None);
    }
}
