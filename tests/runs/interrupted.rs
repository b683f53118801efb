//! Runs that are killed, whose disk is full or whose folder becomes read-only: the last checkpoint is whole, the run resumes from
//! it to the same bits as an undisturbed one, and reports what happened.
#![cfg(unix)]

use crate::common::{Random, alone};
use crate::setting::{AfterEpoch, AfterStep, Net, bits, images};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;
use wgrad::optim::{AdamW, AdamWOptions};
use wgrad::train::{Checkpoints, Every, Fit, ImageLoader, Run, Supervised, Trainer, TrainerOptions};
use wgrad::weights::Reader;
use wgrad::{Device, Result};

const EPOCHS: u64 = 4;
const STEPS: u64 = 6 * EPOCHS;
/// A user other than root, whom permissions don't stop.
const NOBODY: u32 = 65534;

fn last(folder: &Path) -> PathBuf {
    folder.join("last.safetensors")
}

/// A run to its end, from the folder's last checkpoint if there is one.
fn fit(folder: &Path, after_step: fn(&Path, &mut Run), after_epoch: fn(&Path, &mut Run)) -> Result<(Fit, Vec<u64>)> {
    let device = Device::reference();
    device.manual_seed(7);
    let model = Net::new(&device);
    let mut optimizer = AdamW::new(&model, AdamWOptions::default().lr(0.02))?;
    let set = images(24, 1);
    let train = ImageLoader::shuffled(&set, &device, 4, 0)?;
    let mut task = Supervised::classification();
    let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(EPOCHS).folder(folder))?
        .callback(Checkpoints::default().every(Every::Steps(1)).keep(2))
        .callback(AfterStep(|run: &mut Run| {
            after_step(folder, run);
            Ok(())
        }))
        .callback(AfterEpoch(|run: &mut Run| {
            after_epoch(folder, run);
            Ok(())
        }));
    if last(folder).exists() {
        trainer.resume(&last(folder), &model, &mut optimizer, &mut task)?;
    }
    let fit = trainer.fit(&model, &mut optimizer, &mut task, &train, None)?;
    Ok((fit, bits(&device, &model, &optimizer)))
}

fn nothing(_: &Path, _: &mut Run) {}

/// The run of another process, which prints how it ended.
#[test]
fn a_run_by_itself() {
    let Some(folder) = std::env::var_os("WGRAD_TEST_RUN") else { return };
    let lock = |folder: &Path, run: &mut Run| {
        if run.epoch == 0 && std::env::var_os("WGRAD_TEST_LOCK").is_some() {
            fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
        }
    };
    match fit(Path::new(&folder), nothing, lock) {
        Ok((fit, _)) => println!("done after {} steps", fit.steps),
        Err(error) => println!("failed: {error}"),
    }
}

fn run_alone(folder: &Path) -> Command {
    let mut command = alone(module_path!(), "a_run_by_itself");
    command.env("WGRAD_TEST_RUN", folder);
    command
}

/// The output of a command that should end by itself.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The files with these names are whole, and a run goes on from the last one to the bits of an undisturbed one.
fn goes_on(folder: &Path) {
    let undisturbed = TempDir::new().unwrap();
    let (_, expected) = fit(undisturbed.path(), nothing, nothing).unwrap();
    let (fit, bits) = fit(folder, nothing, nothing).unwrap();
    assert_eq!((fit.steps, bits), (STEPS, expected));
}

fn are_whole(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            let mut reader = Reader::open(&path).unwrap();
            let names: Vec<String> = reader.entries().iter().map(|entry| entry.name().to_string()).collect();
            names.iter().for_each(|name| drop(reader.read(name, &Device::reference()).unwrap()));
        }
    }
}

#[test]
fn a_run_that_is_killed_goes_on() {
    let folder = TempDir::new().unwrap();
    let mut random = Random(u64::from(std::process::id()));
    let kills = if std::env::var_os("WGRAD_TEST_ALL").is_some() { 200 } else { 8 };
    let mut between = 0;
    for _ in 0..kills {
        let mut child = run_alone(folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_micros((random.unit() * 120_000.0) as u64));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        are_whole(folder.path());
        let numbered = fs::read_dir(folder.path()).unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse::<u64>().ok()
        });
        let step = numbered.max().unwrap_or(0);
        between += u64::from(step > 0 && step < STEPS);
        if step == STEPS {
            goes_on(folder.path());
            fs::read_dir(folder.path()).unwrap().for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
        }
    }
    goes_on(folder.path());
    eprintln!("{between} of {kills} kills met a run on its way");
}

/// A folder with the checkpoint of a run's first epochs, for the next process alone.
fn begun() -> TempDir {
    let folder = TempDir::new().unwrap();
    let stop = |_: &Path, run: &mut Run| {
        if run.step == 8 {
            run.requests.stop("enough");
        }
    };
    fit(folder.path(), stop, nothing).unwrap();
    assert!(last(folder.path()).exists());
    folder
}

/// Files may have at most 512 bytes, fewer than a checkpoint has.
#[test]
fn a_disk_without_room_for_a_checkpoint_leaves_the_one_before() {
    let folder = begun();
    let before = fs::read(last(folder.path())).unwrap();
    let run = run_alone(folder.path());
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"]).arg(run.get_program()).args(run.get_args());
    let text = said(limited.env("WGRAD_TEST_RUN", folder.path()));
    assert!(text.contains("failed: ") && text.contains(".safetensors: not written: File too large"), "{text}");
    assert!(fs::read(last(folder.path())).unwrap() == before);
    are_whole(folder.path());
    goes_on(folder.path());
}

/// A separate disk that is full, if the user may mount one.
#[test]
fn a_full_disk_leaves_the_checkpoint_before() {
    let may_mount = Command::new("unshare").args(["-Urm", "true"]).output().is_ok_and(|output| output.status.success());
    if !may_mount {
        eprintln!("no disk can be mounted here: the other test limits files instead");
        return;
    }
    let (folder, disk) = (begun(), TempDir::new().unwrap());
    let before = fs::read(last(folder.path())).unwrap();
    let run = run_alone(disk.path());
    let script = "mount -t tmpfs -o size=256k none \"$DISK\" && cp -r \"$FROM\"/. \"$DISK\" && \
                  { cat /dev/zero > \"$DISK/rest\" 2>/dev/null; \"$@\"; } && rm \"$DISK/rest\" && cp -r \"$DISK\"/. \"$FROM\"";
    let mut full = Command::new("unshare");
    full.args(["-Urm", "sh", "-c", script, "sh"]).arg(run.get_program()).args(run.get_args());
    let text = said(full.env("WGRAD_TEST_RUN", disk.path()).env("DISK", disk.path()).env("FROM", folder.path()));
    assert!(text.contains("failed: ") && text.contains(".safetensors: not written: No space left on device"), "{text}");
    assert!(fs::read(last(folder.path())).unwrap() == before);
    are_whole(folder.path());
    goes_on(folder.path());
}

#[test]
fn a_folder_that_becomes_read_only_keeps_its_checkpoint() {
    let folder = TempDir::new().unwrap();
    let probe = folder.path().join("probe");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::write(&probe, "").is_ok();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let mut run = run_alone(folder.path());
    run.env("WGRAD_TEST_LOCK", "1");
    if is_root {
        fs::remove_file(&probe).unwrap();
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        run.uid(NOBODY).gid(NOBODY);
    }
    let text = said(&mut run);
    assert!(text.contains("failed: ") && text.contains(".safetensors: not written: Permission denied"), "{text}");
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    are_whole(folder.path());
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    goes_on(folder.path());
}
