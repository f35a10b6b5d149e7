//! How much memory the program has used.

/// The most bytes that were resident at once, mapped files included; `None` where the system does not say.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kib)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn memory_that_is_written_counts() {
        let touched = std::hint::black_box(vec![1u8; 32 << 20]);
        assert!(super::resident_bytes().unwrap() > touched.len() as u64);
    }
}
