//! Open files and memory, against what the configuration may take.

use std::fs;

use config::Protocol;
use types::Limits;

use super::Patient;
use super::report::{Finding, Report, bytes};
use crate::process;

pub(super) fn look(patient: &Patient, report: &mut Report) {
    report.add(descriptors(patient));
    report.add(memory(patient));
}

/// What a running server has, or what one that this user starts would have.
fn descriptors(patient: &Patient) -> Finding {
    const AREA: &str = "open files";
    let running = patient.running.as_ref();
    let theirs = running.and_then(|server| {
        let text = fs::read_to_string(format!("/proc/{}/limits", server.pid)).ok()?;
        hard_limit(&text)
    });
    let (limit, whose) = match theirs {
        Some(limit) => (Some(limit), "the running server"),
        None => match net::raise_descriptor_limit() {
            Ok(limit) => (limit, "a server of this user"),
            Err(error) => return Finding::note(AREA, format!("the limit is unknown: {error}")),
        },
    };
    let protocols = patient.config.listeners.iter().map(|one| one.protocol);
    let each = match protocols.into_iter().any(|one| one == Protocol::Quic) {
        true => 2,
        false => 1,
    };
    let wanted = patient.config.limits.connections as u64;
    let is_usual = patient.config.limits.connections == Limits::default().connections;
    let Some(limit) = limit else {
        return Finding::good(AREA, format!("{whose} may open as many as it likes"));
    };
    let room = limit.saturating_sub(crate::serve::SPARE_DESCRIPTORS as u64) / each;
    let finding = match room >= wanted {
        true => Finding::good(
            AREA,
            format!("{whose} may open {limit}: room for {wanted} connections"),
        ),
        // Nobody asked for a million.
        false if is_usual && room >= FEW => Finding::note(
            AREA,
            format!("{whose} may open {limit}: room for {room} connections; more are refused"),
        ),
        false => Finding::warning(
            AREA,
            format!(
                "{whose} may open {limit}: room for {room} connections, and limits.connections is \
                 {wanted}"
            ),
            format!(
                "raise it (LimitNOFILE={} for a service, `ulimit -Hn` for a shell), or lower \
                 limits.connections",
                wanted * each + crate::serve::SPARE_DESCRIPTORS as u64
            ),
        ),
    };
    finding.figure("limit", limit).figure("wanted", wanted)
}

/// How many connections the configuration wants, if it was said, else at most so many as a machine of
/// the usual size has.
pub(super) fn connections(patient: &Patient) -> u64 {
    let wanted = patient.config.limits.connections;
    match wanted == Limits::default().connections {
        true => FEW,
        false => wanted as u64,
    }
}

/// Connections that any machine should bear.
const FEW: u64 = 10_000;

/// The hard limit of open files in the text of /proc/PID/limits.
fn hard_limit(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn memory(patient: &Patient) -> Finding {
    const AREA: &str = "memory";
    let configured = patient.config.limits.memory;
    let budget = process::memory_budget(configured) as u64;
    let Some(machine) = process::memory_of_machine() else {
        return Finding::note(AREA, "the system does not tell how much there is");
    };
    let words = format!(
        "the server takes at most {} of {}",
        bytes(budget),
        bytes(machine)
    );
    let finding = if budget > machine {
        Finding::problem(
            AREA,
            words,
            "lower limits.memory: the system would end the server before its own limit does",
        )
    } else if budget > machine / 10 * 9 {
        Finding::warning(
            AREA,
            words,
            "leave a tenth for the system and its cache: lower limits.memory",
        )
    } else if budget < 64 << 20 {
        Finding::warning(AREA, words, "this is little: raise limits.memory")
    } else {
        Finding::good(AREA, words)
    };
    finding
        .figure("budget_bytes", budget)
        .figure("machine_bytes", machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_process_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(hard_limit(text), Some(524_288));
        assert_eq!(hard_limit("Max open files  5  unlimited  files\n"), None);
    }
}
