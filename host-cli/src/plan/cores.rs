//! Cores, and how a program for each is built.

/// A core that firmware was measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    /// The name on the command line.
    pub name: &'static str,
    /// Rust's name for its code.
    pub target: &'static str,
    /// What the compiler may be told beyond the target, for faster code.
    pub rustflags: &'static [&'static str],
    /// The feature of `emberlm-core` that its kernel takes, if any.
    pub feature: Option<&'static str>,
    /// The kernel's type in `emberlm-core`.
    pub kernel: &'static str,
}

/// Every core, the smallest first.
pub const CORES: [Core; 9] = [
    Core { name: "cortex-m0", target: "thumbv6m-none-eabi", rustflags: &[], feature: None, kernel: "Scalar" },
    Core {
        name: "cortex-m3",
        target: "thumbv7m-none-eabi",
        rustflags: &[],
        feature: Some("cortex-m3"),
        kernel: "Scalar",
    },
    dsp("cortex-m4f", "thumbv7em-none-eabihf", &["-Ctarget-cpu=cortex-m4"]),
    dsp("cortex-m7", "thumbv7em-none-eabihf", &["-Ctarget-cpu=cortex-m7"]),
    dsp("cortex-m33", "thumbv8m.main-none-eabihf", &["-Ctarget-cpu=cortex-m33"]),
    Core {
        name: "cortex-m55",
        target: "thumbv8m.main-none-eabihf",
        rustflags: &["-Ctarget-cpu=cortex-m55", "-Cno-vectorize-loops", "-Cno-vectorize-slp"],
        feature: Some("cortex-m-mve"),
        kernel: "CortexMMve",
    },
    riscv("rv32imc", "riscv32imc-unknown-none-elf"),
    riscv("rv32imac", "riscv32imac-unknown-none-elf"),
    riscv("rv32imafc", "riscv32imafc-unknown-none-elf"),
];

const fn dsp(name: &'static str, target: &'static str, rustflags: &'static [&'static str]) -> Core {
    Core { name, target, rustflags, feature: Some("cortex-m-dsp"), kernel: "CortexMDsp" }
}

const fn riscv(name: &'static str, target: &'static str) -> Core {
    Core { name, target, rustflags: &[], feature: None, kernel: "Scalar" }
}

impl Core {
    /// The core of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CORES.iter().find(|core| core.name == name)
    }

    /// Every name.
    pub fn names() -> impl Iterator<Item = &'static str> {
        CORES.iter().map(|core| core.name)
    }
}
