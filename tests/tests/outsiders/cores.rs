//! Processors, and how somebody who has nothing of ours but core builds for each of them and runs what comes out.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use emberlm::device::{Board, Family, Region, emulator};

/// Far beyond what any run takes on a busy machine.
const PATIENT: Duration = Duration::from_secs(600);

/// A processor, and what an outsider has to say to build for it.
pub struct Core {
    pub machine: &'static str,
    pub target: &'static str,
    /// Where flash and RAM are, and the code, if not in front of the flash.
    pub memory: (u32, u32, Option<u32>),
    /// Those of core that bring its kernels.
    pub features: &'static str,
    pub rustflags: &'static str,
}

const ARM: Family = Family { package: "", emulator: "qemu-system-arm", options: &[] };
const RISCV: Family = Family { package: "", emulator: "qemu-system-riscv32", options: &["-bios", "none"] };

pub const M0_PLUS: Core = Core {
    machine: "mps2-an385",
    target: "thumbv6m-none-eabi",
    memory: (0, 0x2000_0000, None),
    features: "",
    rustflags: "",
};
pub const M3: Core = Core { target: "thumbv7m-none-eabi", features: "cortex-m3", ..M0_PLUS };
pub const M4F: Core =
    Core { machine: "mps2-an386", target: "thumbv7em-none-eabihf", features: "cortex-m-dsp", ..M0_PLUS };
pub const M7: Core = Core { machine: "mps2-an500", rustflags: "-Ctarget-cpu=cortex-m7", ..M4F };
pub const M33: Core = Core {
    machine: "mps2-an505",
    target: "thumbv8m.main-none-eabihf",
    memory: (0x1000_0000, 0x3800_0000, None),
    features: "cortex-m-dsp",
    rustflags: "",
};
/// With both kernels, and vectors of floats that flush subnormal numbers.
pub const M55: Core = Core {
    machine: "mps3-an547",
    // The 512 KiB where the vectors are do not hold a debug build.
    memory: (0, 0x2100_0000, Some(0x1100_0000)),
    features: "cortex-m-dsp,cortex-m-mve",
    rustflags: "-Ctarget-cpu=cortex-m55",
    ..M33
};
pub const RV32IMC: Core = Core {
    machine: "virt",
    target: "riscv32imc-unknown-none-elf",
    memory: (0x8000_0000, 0x8040_0000, None),
    features: "",
    rustflags: "",
};
pub const RV32IMAC: Core = Core { target: "riscv32imac-unknown-none-elf", ..RV32IMC };
pub const RV32IMAFC: Core = Core { target: "riscv32imafc-unknown-none-elf", ..RV32IMC };

/// A profile, and what the environment makes of it.
pub type Profile = (&'static str, &'static [(&'static str, &'static str)]);

pub const RELEASE: Profile = ("release", &[]);
pub const DEBUG: Profile = ("dev", &[]);

/// Where all of them are built, so that dependencies are built once.
pub const TARGET_DIR: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/outsiders");

/// Keeps others from building until it is gone: until a program is out of the next one's way.
pub fn building() -> MutexGuard<'static, ()> {
    static BUILDING: Mutex<()> = Mutex::new(());
    BUILDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cargo, as an outsider calls it.
pub fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    // What says how to build. What says with which toolchain, and that none is to be installed, stays.
    let is_ours = |name: &str| {
        name != "CARGO_HOME" && name.starts_with("CARGO_") || ["RUSTFLAGS", "RUSTC_WRAPPER"].contains(&name)
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_ours) {
            command.env_remove(name);
        }
    }
    command
}

impl Core {
    const fn is_riscv(&self) -> bool {
        matches!(self.target.as_bytes(), [b'r', b'i', b's', b'c', b'v', ..])
    }

    /// Cargo, to build the package in a folder, whose `memory.x` is made this processor's.
    pub fn build(&self, folder: &Path, (profile, settings): Profile) -> Command {
        fs::write(folder.join("memory.x"), self.memory_script()).unwrap();
        let mut command = cargo();
        for (name, value) in settings {
            command.env(format!("CARGO_PROFILE_{}_{name}", profile.to_uppercase()), value);
        }
        command
            .current_dir(folder)
            .args(["build", "--quiet", "--profile", profile, "--target", self.target])
            .env("CARGO_TARGET_DIR", TARGET_DIR);
        command
    }

    /// The program that such a build makes of the package of that name.
    pub fn program(&self, package: &str, (profile, _): Profile) -> std::path::PathBuf {
        let folder = if profile == "dev" { "debug" } else { profile };
        Path::new(TARGET_DIR).join(self.target).join(folder).join(package)
    }

    /// A map with 4 MiB of either memory, or a gigabyte of flash where code lies far into it.
    fn memory_script(&self) -> String {
        let (flash, ram, code) = self.memory;
        let length = if code.is_some() { "1024M" } else { "4M" };
        let mut script = format!(
            "MEMORY {{ FLASH : ORIGIN = {flash:#x}, LENGTH = {length}\n RAM : ORIGIN = {ram:#x}, LENGTH = 4M }}\n"
        );
        if let Some(code) = code {
            script += &format!("_stext = {code:#x};\n");
        }
        if self.is_riscv() {
            let regions = [("TEXT", "FLASH"), ("RODATA", "FLASH"), ("DATA", "RAM"), ("BSS", "RAM"), ("HEAP", "RAM")];
            for (region, memory) in regions.into_iter().chain([("STACK", "RAM")]) {
                script += &format!("REGION_ALIAS(\"REGION_{region}\", {memory});\n");
            }
        }
        script
    }

    /// Runs a program to its good end, and returns the lines that it printed.
    pub fn run(&self, program: &Path, what: &str) -> Vec<String> {
        let nowhere = Region { address: 0, bytes: 0 };
        let board = Board {
            name: self.machine,
            about: "",
            family: if self.is_riscv() { &RISCV } else { &ARM },
            machine: self.machine,
            target: self.target,
            rustflags: self.rustflags,
            model: nowhere,
            request: nowhere,
        };
        let command = emulator::command(&board, program, &[]).unwrap();
        let run = emulator::run(command, PATIENT, |_| {}).unwrap();
        assert!(run.status.success(), "{what}: {run:?}");
        run.lines
    }
}
