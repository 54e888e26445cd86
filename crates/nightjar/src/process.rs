//! What the system says of this process and its machine.

use std::fs;

/// The machine's name, with the letters that a node's name may have.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let name: String = name
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
        .take(64)
        .collect();
    if name.is_empty() {
        "nightjar".to_owned()
    } else {
        name
    }
}

/// Asks for memory in small pages only: in huge ones an idle server holds twice and a thousand
/// clients ten times as much, and messages are no faster for it. A system that refuses goes on
/// as it is; so do those that have no such thing.
pub(crate) fn use_small_pages() {
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::thread::disable_transparent_huge_pages(true);
    }
}

/// Bytes of memory that this process holds; `None` where the system does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

/// The memory budget: as configured, or four fifths of what the system lets this process have.
/// Zero, which is no budget, where the system does not tell.
pub(crate) fn memory_budget(configured: usize) -> usize {
    if configured > 0 {
        return configured;
    }
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total_memory);
    let group = control_group_memory();
    let most = match (machine, group) {
        (Some(machine), Some(group)) => machine.min(group),
        (known, None) | (None, known) => known.unwrap_or(0),
    };
    usize::try_from(most / 5 * 4).unwrap_or(usize::MAX)
}

/// The machine's memory in bytes, from the text of /proc/meminfo.
fn total_memory(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The bound of this process's control group, version 2 or 1; `None` if there is none.
fn control_group_memory() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let version_2 = format!(
        "/sys/fs/cgroup{}/memory.max",
        path.unwrap_or_default().trim()
    );
    [
        version_2.as_str(),
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ]
    .iter()
    .find_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_more_than_a_page() {
        assert!(resident_bytes().unwrap() > 100_000);
    }

    #[test]
    fn the_budget_is_what_was_configured_or_less_than_the_machine_has() {
        assert_eq!(memory_budget(7), 7);
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let machine = usize::try_from(total_memory(&text).unwrap()).unwrap();
        assert!((1..machine).contains(&memory_budget(0)));
        assert_eq!(total_memory("MemTotal:   16 kB\n"), Some(16_384));
    }
}
