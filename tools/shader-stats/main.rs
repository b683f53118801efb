//! Inspects the kernels as the compilers of real GPUs translate them, on a machine without one: `make shader-stats`.
//!
//! Mesa's RADV driver can pose as any AMD GPU ("null hardware"): it compiles and runs nothing. The layers of `cases` run forward
//! and backward on wgpu's noop adapter posing as a GPU; every module that they need goes through RADV, for GPUs of three
//! generations. A module that spills registers or uses scratch memory fails the run, and so does a kernel whose innermost loop
//! has a smaller fraction of multiply-adds than `cases` requires.
//!
//! `shader-stats [--require] [WORD ..]` runs the cases whose name contains one of the words. Without RADV it says so and checks
//! nothing, which is a failure with `--require`. `RADV_FORCE_FAMILY` in the environment selects one family; navi31, with Mesa 25,
//! has cooperative matrices.

mod cases;
mod isa;
mod radv;

use cases::{CASES, Case};
use radv::Radv;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use wgrad::{Device, DeviceOptions, Noop};

/// RADV's name of a GPU and the invocations of its subgroups: GCN 4, GCN 5, RDNA 2.
const FAMILIES: [(&str, u32); 3] = [("polaris10", 64), ("vega10", 64), ("navi21", 32)];

/// RADV reads this when it is loaded, so each family has a separate process.
const FAMILY: &str = "RADV_FORCE_FAMILY";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let is_required = words.iter().any(|word| word == "--require");
    words.retain(|word| word != "--require");
    let Ok(family) = std::env::var(FAMILY) else {
        let Some(driver) = driver() else {
            println!(
                "shader-stats: NO KERNEL WAS CHECKED. It needs RADV, Mesa's driver for AMD GPUs on Linux (no such GPU):"
            );
            println!(
                "mesa-vulkan-drivers (Debian, Ubuntu, Fedora) or vulkan-radeon (Arch), or VK_DRIVER_FILES naming its JSON."
            );
            return Ok(if is_required { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        };
        let mut failed = false;
        for (family, _) in FAMILIES {
            let mut child = Command::new(std::env::current_exe()?);
            child.args(&words).env(FAMILY, family).env("RADV_DEBUG", "nocache").env("VK_DRIVER_FILES", &driver);
            failed |= !child.status()?.success();
        }
        return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    };
    let subgroup_size = FAMILIES.iter().find(|(name, _)| *name == family).map_or(32, |(_, size)| *size);
    let radv = Radv::open()?;
    println!("\n{family}: {}", radv.name);
    println!(
        "{:34} {:34} {:>5} {:>5} {:>7} {:>7} {:>6} {:>6} {:>10} {:>6}",
        "case", "kernel", "VGPRs", "SGPRs", "spilled", "scratch", "instr", "waves", "throughput", "mad"
    );
    let chosen = |case: &&Case| words.is_empty() || words.iter().any(|word| case.name.contains(word.as_str()));
    // Many cases share modules; each is compiled and shown once.
    let mut seen = BTreeMap::new();
    let mut failures = Vec::new();
    for case in CASES.iter().filter(chosen) {
        failures.extend(check(case, &radv, subgroup_size, &mut seen)?);
    }
    for failure in &failures {
        println!("FAILED {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// RADV's description for the loader: the one in the environment, or a file where packages install it.
fn driver() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("VK_DRIVER_FILES") {
        return Some(named.into());
    }
    let folders = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let files = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut paths = files.map(|file| file.path());
    // One machine may have drivers for several architectures.
    paths.find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("radeon_icd") && (name.contains(std::env::consts::ARCH) || name == "radeon_icd.json")
    })
}

/// The modules a case needs on a GPU: name and text.
fn modules(case: &Case, radv: &Radv, subgroup_size: u32) -> wgrad::Result<Vec<(String, String)>> {
    let noop = Noop {
        software: false,
        subgroup_size,
        f16: radv.has_f16,
        cooperative_matrices: radv.has_cooperative_matrices,
        ..Noop::default()
    };
    let options = DeviceOptions::default().noop(noop).disable(case.disable());
    let device = Device::with_options(&options)?;
    (case.run)(&device)?;
    device.sync()?;
    Ok(device.shader_sources())
}

fn check(
    case: &Case,
    radv: &Radv,
    subgroup_size: u32,
    seen: &mut BTreeMap<String, f64>,
) -> Result<Vec<String>, Box<dyn Error>> {
    if case.needs_f16 && !radv.has_f16 {
        return Ok(Vec::new());
    }
    let mut failures = Vec::new();
    // For each kernel of the case, the fraction of the worst module.
    let mut worst: Vec<Option<f64>> = vec![None; case.shares.len()];
    for (name, source) in modules(case, radv, subgroup_size)? {
        let mut note = |share: f64| {
            if let Some(at) = case.shares.iter().position(|(kernel, _)| *kernel == name) {
                worst[at] = Some(worst[at].map_or(share, |worst| worst.min(share)));
            }
        };
        if let Some(share) = seen.get(&source) {
            note(*share);
            continue;
        }
        let stats = radv.compile(&source).map_err(|e| format!("{name} of {}: {e}", case.name))?;
        let share = isa::hottest_loop(&stats.assembly).map_or(0.0, |hottest| hottest.share());
        note(share);
        println!(
            "{:34} {:34} {:>5} {:>5} {:>7} {:>7} {:>6} {:>6} {:>10} {:>5.1}%",
            case.name,
            name,
            stats.vector_registers,
            stats.scalar_registers,
            stats.spilled,
            stats.scratch,
            stats.instructions,
            stats.waves,
            stats.throughput,
            100.0 * share
        );
        if stats.spilled > 0 || stats.scratch > 0 {
            let (spilled, scratch) = (stats.spilled, stats.scratch);
            failures
                .push(format!("{}: {name} spills {spilled} registers and uses {scratch} bytes of scratch", case.name));
        }
        seen.insert(source, share);
    }
    for ((kernel, least), worst) in case.shares.iter().zip(worst).filter(|_| radv.is_judged) {
        match worst {
            Some(share) if share >= *least => {}
            Some(share) => failures.push(format!(
                "{}: {:.1} % of the inner loop of {kernel} are multiply-adds, not {} %",
                case.name,
                100.0 * share,
                100.0 * least
            )),
            None => failures.push(format!("{}: there is no {kernel} among its kernels", case.name)),
        }
    }
    Ok(failures)
}
