//! Arrays in memory and in NumPy's files, and sets composed of sets.

use crate::files::{folder, made, pattern};
use std::sync::Arc;
use wgrad::data::{Array, Dataset, NpyArray, Npz};
use wgrad::{DType, Device, Error};

/// The values that `make_files.py` counts.
fn counted() -> impl Iterator<Item = i32> {
    -3..21
}

#[test]
fn numpy_files_of_each_type_and_order_are_read() {
    fn check<T: PartialEq + std::fmt::Debug>(name: &str, expected: impl Iterator<Item = T>)
    where
        Array<T>: TryFrom<NpyArray, Error = Error>,
    {
        let read: Array<T> = NpyArray::read(made(name)).unwrap().try_into().unwrap();
        assert_eq!((read.shape(), read.values()), (&[2, 3, 4][..], &expected.collect::<Vec<T>>()[..]), "{name}");
    }
    check("f4.npy", counted().map(|value| value as f32));
    check("version2.npy", counted().map(|value| value as f32));
    check("f4_big_endian.npy", counted().map(|value| value as f32));
    check("f8_fortran.npy", counted().map(f64::from));
    check("u1.npy", counted().map(|value| (value + 3) as u8));
    check("i4_fortran.npy", counted());
    check("i8.npy", counted().map(i64::from));
    check("b1.npy", counted().map(|value| value % 2 == 0));
    let scalar: Array<f32> = NpyArray::read(made("scalar.npy")).unwrap().try_into().unwrap();
    assert_eq!((scalar.shape(), scalar.values()), (&[][..], &[2.5][..]));
    let empty: Array<f32> = NpyArray::read(made("empty.npy")).unwrap().try_into().unwrap();
    assert_eq!((empty.shape(), empty.len()), (&[0, 3][..], 0));
}

#[test]
fn numpy_arrays_go_to_the_device() {
    let device = Device::reference();
    for (name, dtype) in [
        ("f4", DType::F32),
        ("f8_fortran", DType::F32),
        ("u1", DType::I32),
        ("i4_fortran", DType::I32),
        ("i8", DType::I32),
        ("b1", DType::Bool),
    ] {
        let tensor = NpyArray::read(made(&format!("{name}.npy"))).unwrap().to_tensor(&device).unwrap();
        assert_eq!((tensor.dtype(), &tensor.shape()[..]), (dtype, &[2, 3, 4][..]), "{name}");
        let expected = counted().map(|value| match name {
            "u1" => f64::from(value + 3),
            "b1" => f64::from(value % 2 == 0),
            _ => f64::from(value),
        });
        assert_eq!(tensor.to_f64().unwrap(), expected.collect::<Vec<_>>(), "{name}");
    }
    let large = NpyArray::I64(Array::new(vec![1], vec![1 << 31]).unwrap());
    assert!(large.to_tensor(&device).unwrap_err().to_string().contains("2147483648 does not fit i32"));
    assert!(Array::<f32>::try_from(large).unwrap_err().to_string().contains("not of f32"));
}

#[test]
fn archives_hold_arrays_by_name() {
    for name in ["stored.npz", "deflated.npz"] {
        let mut file = Npz::open(made(name)).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["images", "labels"]);
        let labels: Array<i64> = file.read("labels").unwrap().try_into().unwrap();
        assert_eq!(labels.values(), [0, 1, 2, 3, 4]);
        let images: Array<u8> = file.read("images").unwrap().try_into().unwrap();
        assert_eq!(images.values(), (0..24).collect::<Vec<u8>>());
        let missing = file.read("masks").unwrap_err().to_string();
        assert!(missing.contains(name) && missing.contains("labels"), "{missing}");
    }
}

/// An archive with the second end record of files past 4 GB.
fn with_long_end(archive: &[u8]) -> Vec<u8> {
    let end = archive.len() - 22;
    let directory = u32::from_le_bytes(archive[end + 16..end + 20].try_into().unwrap());
    let mut bytes = archive[..end].to_vec();
    bytes.extend(b"PK\x06\x06");
    bytes.extend([0; 28]);
    bytes.extend(2u64.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend(u64::from(directory).to_le_bytes());
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend((end as u64).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(&archive[end..]);
    let end = bytes.len() - 22;
    bytes[end + 10..end + 12].fill(0xff);
    bytes[end + 16..end + 20].fill(0xff);
    bytes
}

#[test]
fn an_archive_may_have_long_sizes() {
    let bytes = with_long_end(&std::fs::read(made("deflated.npz")).unwrap());
    let folder = folder(&[("long.npz", &bytes)]);
    let labels: Array<i64> =
        Npz::open(folder.path().join("long.npz")).unwrap().read("labels").unwrap().try_into().unwrap();
    assert_eq!(labels.values(), [0, 1, 2, 3, 4]);
}

#[test]
fn bad_numpy_files_are_errors_that_name_the_file() {
    let good = std::fs::read(made("f4.npy")).unwrap();
    let header = |from: &str, to: &str| {
        let text: Vec<u8> = good.iter().copied().take(128).collect();
        let text = String::from_utf8_lossy(&text[10..]).replace(from, to);
        let mut bytes = good[..8].to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.bytes());
        bytes.extend(&good[128..]);
        bytes
    };
    let cut = |by: usize| good[..good.len() - by].to_vec();
    let longer = [&good[..], &[0]].concat();
    let read = |name: &str| std::fs::read(made(name)).unwrap();
    for (bytes, text) in [
        (vec![], "ends within the header"),
        (b"hello, world".to_vec(), "not an array of NumPy"),
        (good[..60].to_vec(), "ends within the header"),
        (cut(1), "95 bytes of values, expected 96"),
        (longer, "more bytes of values, expected 96"),
        (header("(2, 3, 4)", "(2, 3, 5)"), "expected 120"),
        (header("(2, 3, 4)", "(1000000000000,)"), "announces 4000000000000 bytes"),
        (header("(2, 3, 4)", "(4294967296, 4294967296)"), "too large"),
        (header("(2, 3, 4)", "(2, -3, 4)"), "not understood"),
        (header("'shape'", "'sharp'"), "not understood"),
        (header("False", "Maybe"), "not understood"),
        (header("<f4", "<u2"), "type is <u2"),
        (read("complex.npy"), "type is <c8"),
        (read("records.npy"), "not understood"),
    ] {
        let folder = folder(&[("bad.npy", &bytes)]);
        let error = NpyArray::read(folder.path().join("bad.npy")).unwrap_err();
        assert!(matches!(error, Error::File { .. }));
        let message = error.to_string();
        assert!(message.contains("bad.npy") && message.contains(text), "expected {text:?} in {message:?}");
    }
}

#[test]
fn bad_archives_are_errors_that_name_the_file() {
    let good = std::fs::read(made("deflated.npz")).unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let end = good.len() - 22;
    let directory = good.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    for (bytes, text) in [
        (vec![], "not a ZIP file"),
        (pattern(5000), "not a ZIP file"),
        (good[..good.len() - 1].to_vec(), "not a ZIP file"),
        (changed(end + 10, 3), "directory is damaged"),
        (changed(end + 16, 0), "directory is damaged"),
        (changed(directory + 10, 12), "packed by method 12"),
        (changed(directory + 16, good[directory + 16] ^ 1), "checksum"),
        (changed(directory + 20, 3), "ends within the header"),
        (changed(0, 0), "header is damaged"),
    ] {
        let folder = folder(&[("bad.npz", &bytes)]);
        let path = folder.path().join("bad.npz");
        let error = Npz::open(&path).and_then(|mut file| file.read("images")).unwrap_err();
        assert!(matches!(error, Error::File { .. }));
        let message = error.to_string();
        assert!(message.contains("bad.npz") && message.contains(text), "expected {text:?} in {message:?}");
    }
}

#[test]
fn sets_are_made_of_sets() {
    let letters = Arc::new(vec!["a", "b", "c", "d"]);
    let some = letters.clone().subset(vec![3, 0, 3]).unwrap();
    assert_eq!((0..3).map(|at| some.get(at).unwrap()).collect::<Vec<_>>(), ["d", "a", "d"]);
    let loud = some.map(|letter| Ok(letter.to_uppercase())).zip(vec![1, 2, 3]).unwrap();
    assert_eq!(loud.get(1).unwrap(), ("A".to_string(), 2));
    let boxed: Box<dyn Dataset<Item = &str>> = Box::new(letters.clone());
    assert_eq!((boxed.len(), boxed.is_empty()), (4, false));
    for (error, text) in [
        (letters.clone().subset(vec![0, 4]).err().unwrap(), "index 4 is out of range for a dimension of size 4"),
        (letters.get(4).unwrap_err(), "index 4"),
        (loud.get(3).unwrap_err(), "index 3"),
        (letters.zip(vec![0]).err().unwrap(), "sets of 4 and 1 items"),
        (Array::new(vec![2, 3], vec![0; 5]).unwrap_err(), "5 values do not fill [2, 3]"),
    ] {
        assert!(error.to_string().contains(text), "{error}");
    }
}
