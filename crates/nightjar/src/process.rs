//! What the system says of this process and its machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

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

/// Processor time that this process took.
pub(crate) fn cpu_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(spent.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(spent.tv_nsec).unwrap_or(0))
}

/// Threads by their names, and the processor time that each took.
#[derive(Debug, Default)]
pub(crate) struct Threads(Vec<(String, String)>);

impl Threads {
    /// Looks for the threads whose names begin so; none where the system does not tell.
    pub(crate) fn named(prefix: &str) -> Self {
        let mut threads = Vec::new();
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
        for task in tasks.flatten() {
            let path = task.path();
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            if name.starts_with(prefix) {
                let times = path.join("schedstat").to_string_lossy().into_owned();
                threads.push((name.trim().to_owned(), times));
            }
        }
        Self(threads)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time of a thread.
    pub(crate) fn cpu_time(&self, name: &str) -> Option<Duration> {
        let (_, times) = self.0.iter().find(|(known, _)| known == name)?;
        let text = fs::read_to_string(times).ok()?;
        let spent = text.split_ascii_whitespace().next()?.parse().ok()?;
        Some(Duration::from_nanos(spent))
    }
}

/// Files and sockets that are open; `None` where the system does not tell.
pub(crate) fn open_files() -> Option<u64> {
    let folder = "/proc/self/fd";
    match fs::metadata(folder).ok()?.len() {
        // Before Linux 6.2 the folder does not say how many are in it.
        0 => u64::try_from(fs::read_dir(folder).ok()?.count()).ok(),
        open => Some(open),
    }
}

/// Bytes that are free to us where this folder is, and bytes that there are.
pub(crate) fn disk(folder: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    // What is kept for the system's own use is not there for us.
    let kept = found.f_bfree.saturating_sub(found.f_bavail);
    Some((
        bytes(found.f_bavail),
        bytes(found.f_blocks.saturating_sub(kept)),
    ))
}

/// Processes that ran or wanted to, on average over 1, 5 and 15 minutes.
pub(crate) fn load() -> Option<[f64; 3]> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some([next()?, next()?, next()?])
}

/// Bytes of memory of the machine.
pub(crate) fn machine_memory() -> Option<u64> {
    total_memory(&fs::read_to_string("/proc/meminfo").ok()?)
}

/// The memory budget: as configured, or four fifths of what the system lets this process have.
/// Zero, which is no budget, where the system does not tell.
pub(crate) fn memory_budget(configured: usize) -> usize {
    if configured > 0 {
        return configured;
    }
    let most = memory_of_machine().unwrap_or(0);
    usize::try_from(most / 5 * 4).unwrap_or(usize::MAX)
}

/// Bytes of memory that the system lets this process have; `None` where it does not tell.
pub(crate) fn memory_of_machine() -> Option<u64> {
    match (machine_memory(), control_group_memory()) {
        (Some(machine), Some(group)) => Some(machine.min(group)),
        (known, None) | (None, known) => known,
    }
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
    fn the_system_tells_of_this_process() {
        let thread = std::thread::Builder::new().name("told-of-0".into());
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let thread = thread.spawn(move || wait.recv());
        // It has its name before it runs anything of ours; this one sees it soon.
        while Threads::named("told-of").len() == 0 {
            std::thread::yield_now();
        }
        let threads = Threads::named("told-of");
        assert!(threads.cpu_time("told-of-0").is_some());
        assert_eq!(threads.cpu_time("told-of-1"), None);
        drop(go);
        assert!(thread.unwrap().join().unwrap().is_err());
        assert!(cpu_time() > Duration::ZERO);
        assert!(open_files().unwrap() > 2);
        let (free, all) = disk(Path::new("/")).unwrap();
        assert!(free <= all && all > 0);
        assert!(load().unwrap().iter().all(|one| *one >= 0.0));
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
