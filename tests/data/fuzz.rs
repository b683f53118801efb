//! Files that were changed at random: no reader panics, blames anything but the file, or allocates more than its size justifies.
//! `WGRAD_TEST_ALL` goes on for ten minutes a reader, or `WGRAD_FUZZ_SECONDS`, with new seeds.

use crate::allocations::peak;
use crate::files::{made, pattern};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use wgrad::data::{Cifar10, Mnist, NpyArray, Npz, Stl10};
use wgrad::{Error, Result};

/// A change to the bytes at an offset.
#[derive(Clone, Debug)]
enum Edit {
    Write(Vec<u8>),
    Insert(Vec<u8>),
    Remove(usize),
    CutOff,
}

fn edits() -> impl Strategy<Value = Vec<(Index, Edit)>> {
    let extreme =
        select(vec![vec![0; 4], vec![0xff; 4], vec![0xff; 8], vec![0x7f, 0xff, 0xff, 0xff], b"9999999999".to_vec()]);
    let bytes = prop_oneof![vec(any::<u8>(), 1..4), extreme];
    let edit = prop_oneof![
        6 => bytes.clone().prop_map(Edit::Write),
        2 => bytes.prop_map(Edit::Insert),
        2 => (1usize..40).prop_map(Edit::Remove),
        1 => Just(Edit::CutOff),
    ];
    vec((any::<Index>(), edit), 0..5)
}

fn edited(mut bytes: Vec<u8>, edits: Vec<(Index, Edit)>) -> Vec<u8> {
    for (at, edit) in edits {
        let at = at.index(bytes.len() + 1);
        match edit {
            Edit::Write(new) => {
                let end = bytes.len().min(at + new.len());
                bytes.splice(at..end, new);
            }
            Edit::Insert(new) => drop(bytes.splice(at..at, new)),
            Edit::Remove(count) => drop(bytes.drain(at..bytes.len().min(at + count))),
            Edit::CutOff => bytes.truncate(at),
        }
    }
    bytes
}

/// Bytes that any reader may allocate, and the factor by which unpacking may multiply a file's size.
const ALLOWED: usize = 1 << 20;
const EXPANSION: usize = 2048;

/// Seeds that are always tried: the first, and those with which a reader failed.
const SEEDS: [u64; 1] = [5];

/// The time for further seeds.
fn time() -> Option<Duration> {
    std::env::var_os("WGRAD_TEST_ALL")?;
    let seconds = std::env::var("WGRAD_FUZZ_SECONDS").map(|text| text.parse().expect("WGRAD_FUZZ_SECONDS is a number"));
    Some(Duration::from_secs(seconds.unwrap_or(600)))
}

/// Reads a folder whose file `name` is one of some good ones, changed.
pub fn fuzz(folder: &Path, name: &str, good: Vec<Vec<u8>>, allowed: usize, read: impl Fn(&Path) -> Result<()>) {
    let (taken, refused) = (Cell::new(0), Cell::new(0));
    let test = |bytes: Vec<u8>| {
        fs::write(folder.join(name), &bytes).unwrap();
        let (allocated, result) = peak(|| read(folder));
        match result {
            Ok(()) => taken.set(taken.get() + 1),
            Err(Error::File { .. }) => refused.set(refused.get() + 1),
            Err(error) => return Err(TestCaseError::fail(format!("not a fault of the file: {error}"))),
        }
        let limit = allowed + EXPANSION * bytes.len();
        prop_assert!(allocated <= limit, "{allocated} bytes for a file of {}", bytes.len());
        Ok(())
    };
    let strategy = (select(good), edits()).prop_map(|(bytes, edits)| edited(bytes, edits));
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let try_seed = |seed: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let outcome = TestRunner::new_with_rng(config.clone(), random).run(&strategy, test);
        outcome.unwrap_or_else(|error| panic!("{name}, seed {seed}, which belongs into SEEDS: {error}"));
    };
    SEEDS.into_iter().for_each(try_seed);
    if let Some(time) = time() {
        let start = Instant::now();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        // More seeds a second than any machine tries.
        (now * 1_000_000..).take_while(|_| start.elapsed() < time).for_each(try_seed);
        eprintln!("{name}: {} taken, {} refused in {:.0?}", taken.get(), refused.get(), start.elapsed());
    }
    assert!(taken.get() > 0 && refused.get() > 0, "{name}: {} taken, {} refused", taken.get(), refused.get());
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn idx() {
    let root = TempDir::new().unwrap();
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28][..], &pattern(2 * 784)].concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 3];
    for set in ["train", "t10k"] {
        fs::write(root.path().join(format!("{set}-images-idx3-ubyte")), &images).unwrap();
        fs::write(root.path().join(format!("{set}-labels-idx1-ubyte")), labels).unwrap();
    }
    let read = |folder: &Path| Mnist::open(folder).map(|_| ());
    fuzz(root.path(), "train-labels-idx1-ubyte", vec![labels.to_vec(), gzipped(&labels)], ALLOWED, read);
    fs::write(root.path().join("train-labels-idx1-ubyte"), labels).unwrap();
    fuzz(root.path(), "train-images-idx3-ubyte", vec![gzipped(&images), images], ALLOWED, read);
}

#[test]
fn cifar() {
    let root = TempDir::new().unwrap();
    let records = [&[3][..], &pattern(3072), &[9], &pattern(3072)].concat();
    for name in [
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ] {
        fs::write(root.path().join(name), &records).unwrap();
    }
    fuzz(root.path(), "data_batch_3.bin", vec![records], ALLOWED, |folder| Cifar10::open(folder).map(|_| ()));
}

#[test]
fn stl() {
    let root = TempDir::new().unwrap();
    for set in ["train", "test"] {
        fs::write(root.path().join(format!("{set}_X.bin")), pattern(2 * 27_648)).unwrap();
        fs::write(root.path().join(format!("{set}_y.bin")), [10, 1]).unwrap();
    }
    fs::write(root.path().join("class_names.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").unwrap();
    let read = |folder: &Path| Stl10::open(folder).map(|_| ());
    fuzz(root.path(), "train_y.bin", vec![vec![10, 1]], ALLOWED, read);
}

#[test]
fn npy() {
    let root = TempDir::new().unwrap();
    let good = ["f4", "f8_fortran", "b1", "scalar", "empty", "version2"];
    let good = good.map(|name| fs::read(made(&format!("{name}.npy"))).unwrap()).to_vec();
    fuzz(root.path(), "a.npy", good, ALLOWED, |folder| NpyArray::read(folder.join("a.npy")).map(|_| ()));
}

#[test]
fn npz() {
    let root = TempDir::new().unwrap();
    let good = ["stored.npz", "deflated.npz"].map(|name| fs::read(made(name)).unwrap()).to_vec();
    fuzz(root.path(), "a.npz", good, ALLOWED, |folder| {
        let mut file = Npz::open(folder.join("a.npz"))?;
        let names: Vec<String> = file.names().map(String::from).collect();
        names.iter().try_for_each(|name| file.read(name).map(|_| ()))
    });
}

/// Zeros that unpack to a gigabyte are refused before they are unpacked, in any file.
#[test]
fn bombs() {
    let root = TempDir::new().unwrap();
    let mut header =
        b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1073741824,), }".to_vec();
    header.resize(128, b' ');
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &[&header[..], &vec![0; 1 << 24]].concat()).unwrap();
    let packed = packed.finish().unwrap();
    let (size, name) = (packed.len() as u32, b"a.npy");
    let mut bytes = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend([0; 8]);
    bytes.extend([5, 0, 0, 0]);
    bytes.extend(name);
    bytes.extend(&packed);
    let directory = bytes.len() as u32;
    bytes.extend(b"PK\x01\x02\x14\0\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
    bytes.extend(size.to_le_bytes());
    bytes.extend((1u32 << 30).to_le_bytes());
    bytes.extend([5, 0]);
    bytes.extend([0; 16]);
    bytes.extend(name);
    let end = bytes.len() as u32;
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend((end - directory).to_le_bytes());
    bytes.extend(directory.to_le_bytes());
    bytes.extend([0, 0]);
    let path = root.path().join("a.npz");
    fs::write(&path, bytes).unwrap();
    let mut file = Npz::open(&path).unwrap();
    let (allocated, result) = peak(|| file.read("a"));
    let message = result.unwrap_err().to_string();
    assert!(message.contains("a.npz") && message.contains("announces 1073741824 bytes"), "{message}");
    assert!(allocated < ALLOWED, "{allocated}");
}
