//! Checkpoints as files: damaged or foreign ones are refused, and a failed write keeps the old one.

use super::{adam, bits, load_weights, model};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wgrad::nn::{Linear, Module, Scope, Sequential};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::train::{Position, load, save};
use wgrad::{Device, Error};

/// A file that a fresh run on the reference refuses, with this text, and without changing.
fn refused(path: &Path, mut optimizer: &mut dyn Optimizer, model: &dyn Module, device: &Device, text: &str) {
    let before =
        (bits(model, optimizer), device.random_state(), optimizer.steps().unwrap(), optimizer.lr(0).unwrap().to_bits());
    let error = load(path, device, model, &mut [("optimizer", &mut optimizer)]).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(text) && message.contains(&path.display().to_string()), "{text:?} in {message:?}");
    assert_eq!(
        before,
        (bits(model, optimizer), device.random_state(), optimizer.steps().unwrap(), optimizer.lr(0).unwrap().to_bits())
    );
}

#[test]
fn damaged_and_foreign_files_are_refused() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let good = folder.path().join("good");
    let first = model(&device, 8);
    save(&good, &device, &first, &[("optimizer", &adam(&first))], &Position::default()).unwrap();
    let bytes = std::fs::read(&good).unwrap();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let other = model(&device, 8);
    let mut optimizer = adam(&other);
    let mut check = |path: &Path, text: &str| refused(path, &mut optimizer, &other, &device, text);

    check(&folder.path().join("missing"), "No such file");
    check(&file("empty", &[]), "not a whole safetensors file");
    check(&file("text", b"this is a text and no checkpoint at all"), "not a whole safetensors file");
    for length in [4, 100, bytes.len() / 2, bytes.len() - 1] {
        check(&file("cut", &bytes[..length]), "not a whole safetensors file");
    }
    let foreign = safetensors::serialize(Vec::<(&str, safetensors::tensor::TensorView)>::new(), None).unwrap();
    check(&file("foreign", &foreign), "no checkpoint: wgrad.checkpoint is missing");
    let version = String::from_utf8_lossy(&bytes[..1000]).find("version").unwrap();
    let mut newer = bytes.clone();
    let digit = (version..).find(|&i| newer[i] == b'3').unwrap();
    newer[digit] = b'7';
    check(&file("newer", &newer), "version 7");

    let mut sgd = Sgd::new(other.parameters(), SgdOptions::default()).unwrap();
    refused(&good, &mut sgd, &other, &device, "optimizer was written as adam, not sgd");
    let wide = model(&device, 9);
    refused(&good, &mut adam(&wide), &wide, &device, "0.weight is [8, 6] in the file and [9, 6] here");
    let more = model(&device, 8).push(Linear::new(&Scope::new(&device).at(3), 3, 3).unwrap());
    refused(&good, &mut adam(&more), &more, &device, "3.weight is missing");
    let less = Sequential::new(&Scope::new(&device)).make(|s| Linear::new(s, 6, 8)).unwrap();
    let message = load(&good, &device, &less, &mut [("optimizer", &mut adam(&less))]).unwrap_err().to_string();
    assert!(message.contains("steps") || message.contains("belongs to nothing"), "{message}");
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_old_one() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let first = model(&device, 4);
    let optimizer = adam(&first);
    let write = |path: &Path| save(path, &device, &first, &[("optimizer", &optimizer)], &Position::default());
    // A folder instead of the file: everything works but the renaming.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("old"), "old").unwrap();
    let error = write(&taken).unwrap_err();
    assert!(error.to_string().contains("taken: not written"), "{error}");
    assert_eq!(std::fs::read(taken.join("old")).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(matches!(write(&folder.path().join("no/folder/here")), Err(Error::File { .. })));
    assert!(matches!(write(Path::new("/")), Err(Error::File { .. })));
}

#[test]
fn writers_of_one_path_do_not_meet() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run");
    let model = model(&device, 4);
    let optimizer = adam(&model);
    let write = || save(&path, &device, &model, &[("optimizer", &optimizer)], &Position::default()).unwrap();
    write();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    write();
                    load_weights(&path, &model).unwrap();
                }
            });
        }
    });
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
#[cfg(unix)]
fn links_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let [path, real, private] = ["run", "real", "private"].map(|name| folder.path().join(name));
    let model = model(&device, 4);
    let optimizer = adam(&model);
    let write = |path: &Path| save(path, &device, &model, &[("optimizer", &optimizer)], &Position::default());
    // A link to a file in another folder that exists only after the first write.
    std::fs::create_dir(&real).unwrap();
    symlink("real/new", &path).unwrap();
    for _ in 0..2 {
        write(&path).unwrap();
        assert!(path.symlink_metadata().unwrap().is_symlink());
        load_weights(&real.join("new"), &model).unwrap();
    }
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "").unwrap();
    assert_eq!(mode(&real.join("new")), mode(&plain), "a new file has what new files have");
    std::fs::write(&private, "").unwrap();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o640)).unwrap();
    write(&private).unwrap();
    assert_eq!(mode(&private), 0o640);
    let circle = folder.path().join("circle");
    symlink("circle", &circle).unwrap();
    assert!(matches!(write(&circle), Err(Error::File { .. })));
}
