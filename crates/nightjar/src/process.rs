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

/// Bytes of memory that this process holds; `None` where the system does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_in_use_is_more_than_a_page() {
        assert!(resident_bytes().unwrap() > 100_000);
    }
}
