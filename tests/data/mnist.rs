//! MNIST files, good and bad, and the batches made of them.

use flate2::{Compression, write::GzEncoder};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;
use wgrad::data::Mnist;
use wgrad::{Device, Error};

fn idx(kind: u8, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn images(count: u32) -> Vec<u8> {
    // Every image shows its own number.
    let values: Vec<u8> = (0..count).flat_map(|i| [i as u8; 784]).collect();
    idx(8, &[count, 28, 28], &values)
}

fn labels(count: u32) -> Vec<u8> {
    idx(8, &[count], &(0..count).map(|i| (i % 10) as u8).collect::<Vec<_>>())
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";

/// A folder with 25 training and 3 test images, half of the files gzipped.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write(&format!("{IMAGES}.gz"), &zipped(&images(25)));
    write(LABELS, &labels(25));
    write("t10k-images-idx3-ubyte", &images(3));
    write("t10k-labels-idx1-ubyte.gz", &zipped(&labels(3)));
    folder
}

#[test]
fn files_are_read_zipped_or_not() {
    let folder = folder();
    let mnist = Mnist::open(folder.path()).unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len()), (25, 3));
    // A browser unzips a file and keeps its extension.
    std::fs::write(folder.path().join(format!("{IMAGES}.gz")), images(25)).unwrap();
    assert_eq!(Mnist::open(folder.path()).unwrap().train.len(), 25);
}

#[test]
fn the_original_files_are_whole() {
    let mnist = Mnist::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist")).unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len()), (60_000, 10_000));
    let first = mnist.train.batches(&Device::reference(), 5).unwrap().next().unwrap().unwrap();
    assert_eq!(first.labels.to_vec::<i32>().unwrap(), [5, 0, 4, 1, 9]);
}

#[test]
fn the_training_pixels_are_normalised() {
    let mnist = Mnist::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist")).unwrap();
    // NumPy's mean and deviation of the training pixels in double precision, over 255.
    let (mean, std) = (0.130_660_476_273_842_9, 0.308_107_803_856_264_63);
    for images in [&mnist.train, &mnist.test] {
        let normalization = images.normalization();
        assert!((f64::from(normalization.mean()[0]) - mean).abs() < 1e-7, "{normalization:?}");
        assert!((f64::from(normalization.std()[0]) - std).abs() < 1e-7, "{normalization:?}");
    }
    let batch = mnist.test.batches(&Device::reference(), 1).unwrap().next().unwrap().unwrap();
    let dark = batch.images.to_vec::<f32>().unwrap()[0];
    assert!((f64::from(dark) + mean / std).abs() < 1e-6, "{dark}");
}

#[test]
fn batches_cover_every_image_once() {
    let folder = folder();
    let mnist = Mnist::open(folder.path()).unwrap();
    let device = Device::reference();
    let (mean, std) = (mnist.train.normalization().mean()[0], mnist.train.normalization().std()[0]);
    let order = |seed, epoch| {
        let mut order = Vec::new();
        for batch in mnist.train.shuffled(&device, 8, seed, epoch).unwrap() {
            let batch = batch.unwrap();
            let count = batch.labels.numel();
            assert_eq!(batch.images.shape()[..], [count, 1, 28, 28]);
            let labels = batch.labels.to_vec::<i32>().unwrap();
            for (image, label) in batch.images.to_vec::<f32>().unwrap().chunks(784).zip(labels) {
                let number = ((image[783] * std + mean) * 255.0).round() as usize;
                assert_eq!(number % 10, label as usize);
                order.push(number);
            }
        }
        order
    };
    let first = order(0, 0);
    assert_eq!(first.len(), 25);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 25);
    assert_eq!(first, order(0, 0));
    assert_ne!(first, order(0, 1));
    assert_ne!(first, order(1, 0));
    assert_ne!(order(0, 1), order(1, 0));
    let batches = mnist.train.batches(&device, 8).unwrap();
    assert_eq!((batches.len(), batches.images()), (4, 25));
    let sizes: Vec<usize> = batches.map(|b| b.unwrap().labels.numel()).collect();
    assert_eq!(sizes, [8, 8, 8, 1]);
}

#[test]
fn a_shuffle_favours_no_place() {
    // Counts of each of 5 images in first position over 5,000 epochs; four standard deviations are 113.
    let folder = folder();
    let images = Mnist::open(folder.path()).unwrap().train.limit(5).unwrap();
    let device = Device::reference();
    let mut counts = [0i32; 5];
    for epoch in 0..5000 {
        let first = images.shuffled(&device, 1, 3, epoch).unwrap().next().unwrap().unwrap();
        counts[first.labels.to_vec::<i32>().unwrap()[0] as usize] += 1;
    }
    assert!(counts.iter().all(|count| (count - 1000).abs() < 113), "{counts:?}");
}

#[test]
fn a_limit_takes_the_first_images() {
    let mnist = Mnist::open(folder().path()).unwrap();
    assert_eq!(mnist.train.limit(7).unwrap().len(), 7);
    assert_eq!(mnist.train.limit(700).unwrap().len(), 25);
    assert!(matches!(mnist.train.limit(0), Err(Error::Invalid { .. })));
    let empty = mnist.train.batches(&Device::reference(), 0).err().unwrap();
    assert!(empty.to_string().contains("batch size is 0"), "{empty}");
}

#[test]
fn bad_files_are_errors_that_name_the_file() {
    let cut = |bytes: &[u8], by: usize| bytes[..bytes.len() - by].to_vec();
    let longer = |mut bytes: Vec<u8>| {
        bytes.push(0);
        bytes
    };
    let mut damaged = zipped(&images(25));
    let checksum = damaged.len() - 6;
    damaged[checksum] ^= 0xff;
    let mut high = labels(25);
    high[8 + 4] = 10;
    for (name, bytes, text) in [
        (LABELS, b"hello, world".to_vec(), "not an IDX file"),
        (LABELS, vec![], "cut off"),
        (LABELS, cut(&labels(25), 30), "cut off"),
        (LABELS, cut(&labels(25), 1), "24 values, expected 25"),
        (LABELS, longer(labels(25)), "more than the 25 values"),
        (LABELS, labels(24), "24 labels for the 25 images"),
        (LABELS, high, "label 4 is 10"),
        (LABELS, idx(0x0d, &[25], &[0; 100]), "type is 0x0d"),
        (LABELS, idx(8, &[5, 5], &[0; 25]), "2 dimensions; expected 1"),
        (LABELS, idx(8, &[1 << 20], &[0; 25]), "25 values, expected 1048576"),
        (LABELS, idx(8, &[u32::MAX], &[0; 25]), "announces 4294967295 items"),
        (IMAGES, idx(8, &[25, 27, 28], &[0; 25 * 27 * 28]), "27 x 28; expected 28 x 28"),
        (IMAGES, idx(8, &[0, 28, 28], &[]), "no images"),
        (IMAGES, idx(8, &[u32::MAX; 3], &[0; 10]), "4294967295 x 4294967295; expected 28 x 28"),
        // A megabyte of zeros, gzipped to one kilobyte, that announces 800.
        (IMAGES, zipped(&idx(8, &[1 << 20, 28, 28], &[0; 1 << 20])), "announces 822083584 bytes"),
        // Three kilobytes that announce three terabytes: nothing may be unpacked.
        (IMAGES, zipped(&idx(8, &[u32::MAX, 28, 28], &[0; 1 << 20])), "announces 4294967295 items"),
        (IMAGES, cut(&zipped(&images(25)), 20), "cut off"),
        (IMAGES, damaged, "damaged"),
        (IMAGES, longer(cut(&images(25), 0)), "more than the 19600 values"),
    ] {
        let folder = folder();
        let _ = std::fs::remove_file(folder.path().join(format!("{name}.gz")));
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let error = Mnist::open(folder.path()).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(name) && message.contains(text), "expected {text:?} in {message:?}");
    }
    let missing = Mnist::open("/nowhere").unwrap_err().to_string();
    assert!(missing.contains(IMAGES), "{missing}");
}
