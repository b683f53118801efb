//! Sets of images in files other than MNIST's own, good and bad.

use crate::files::{folder, pattern};
use wgrad::data::{
    Array, Cifar10, Cifar100, Cifar100Labels, Dataset, Emnist, EmnistSplit, FashionMnist, Images, Normalization, Stl10,
};
use wgrad::{Device, Error, Result};

fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// Records of some bytes of labels and an image.
fn records(labels: &[&[u8]], image: &[u8]) -> Vec<u8> {
    labels.iter().flat_map(|labels| [labels, image].concat()).collect()
}

/// The names that are in a set's list, and the number of the first image's class.
fn classes(images: &Images) -> (usize, &str) {
    (images.classes().len(), &images.classes()[images.labels()[0] as usize])
}

fn refused<T>(result: Result<T>, texts: &[&str]) {
    let error = result.err().unwrap();
    assert!(matches!(error, Error::File { .. }), "{error}");
    let message = error.to_string();
    assert!(texts.iter().all(|text| message.contains(text)), "expected {texts:?} in {message:?}");
}

#[test]
fn emnist_is_turned_upright() {
    // Each image is a gradient from left to right, and so from top to bottom in the file's order.
    let columns: Vec<u8> = (0..2 * 784).map(|at| (at % 784 / 28) as u8).collect();
    let images = idx(&[2, 28, 28], &columns);
    for (split, name, label, count, class) in [
        (EmnistSplit::ByClass, "byclass", 61, 62, "z"),
        (EmnistSplit::ByMerge, "bymerge", 46, 47, "t"),
        (EmnistSplit::Balanced, "balanced", 37, 47, "b"),
        (EmnistSplit::Letters, "letters", 26, 27, "z"),
        (EmnistSplit::Digits, "digits", 9, 10, "9"),
        (EmnistSplit::Mnist, "mnist", 0, 10, "0"),
    ] {
        let folder = folder(&[
            (&format!("emnist-{name}-train-images-idx3-ubyte"), &images),
            (&format!("emnist-{name}-train-labels-idx1-ubyte"), &idx(&[2], &[label, 1])),
            (&format!("emnist-{name}-test-images-idx3-ubyte"), &images),
            (&format!("emnist-{name}-test-labels-idx1-ubyte"), &idx(&[2], &[1, 1])),
        ]);
        let emnist = Emnist::open(folder.path(), split).unwrap();
        assert_eq!(classes(&emnist.train), (count, class));
        assert_eq!(emnist.test.labels(), [1, 1]);
        let image = emnist.train.get(1).unwrap().image;
        assert!(image.pixels().iter().enumerate().all(|(at, &value)| usize::from(value) == at % 28));
    }
}

#[test]
fn fashion_has_articles_for_classes() {
    let (images, labels) = (idx(&[1, 28, 28], &pattern(784)), idx(&[1], &[9]));
    let folder = folder(&[
        ("train-images-idx3-ubyte", &images),
        ("train-labels-idx1-ubyte", &labels),
        ("t10k-images-idx3-ubyte", &images),
        ("t10k-labels-idx1-ubyte", &labels),
    ]);
    let fashion = FashionMnist::open(folder.path()).unwrap();
    assert_eq!(classes(&fashion.test), (10, "Ankle boot"));
    assert_eq!(fashion.train.get(0).unwrap().image.pixels(), pattern(784));
}

#[test]
fn cifar_batches_are_one_set() {
    let image = pattern(3072);
    let batch = |label| records(&[&[label], &[0]], &image);
    let batches: Vec<Vec<u8>> = (0..6).map(|at| batch(9 - at)).collect();
    let folder = folder(&[
        ("data_batch_1.bin", &batches[0]),
        ("data_batch_2.bin", &batches[1]),
        ("data_batch_3.bin", &batches[2]),
        ("data_batch_4.bin", &batches[3]),
        ("data_batch_5.bin", &batches[4]),
        ("test_batch.bin", &batches[5]),
    ]);
    let cifar = Cifar10::open(folder.path()).unwrap();
    assert_eq!(cifar.train.labels(), [9, 0, 8, 0, 7, 0, 6, 0, 5, 0]);
    assert_eq!((classes(&cifar.train), cifar.test.len()), ((10, "truck"), 2));
    let sample = cifar.train.get(7).unwrap();
    assert_eq!((sample.image.shape(), sample.image.pixels()), ([3, 32, 32], &image[..]));

    let write = |bytes: &[u8]| std::fs::write(folder.path().join("data_batch_4.bin"), bytes).unwrap();
    write(&batches[3][1..]);
    refused(Cifar10::open(folder.path()), &["data_batch_4.bin", "6145 bytes", "3073"]);
    write(&[]);
    refused(Cifar10::open(folder.path()), &["data_batch_4.bin", "0 bytes"]);
    write(&records(&[&[3], &[10]], &image));
    refused(Cifar10::open(folder.path()), &["data_batch_4.bin", "label 1 is 10"]);
    refused(Cifar10::open("/nowhere"), &["data_batch_1.bin"]);
}

#[test]
fn cifar_100_has_classes_and_superclasses() {
    let set = records(&[&[19, 99], &[0, 0]], &pattern(3072));
    let folder = folder(&[("train.bin", &set), ("test.bin", &set)]);
    let open = |labels| Cifar100::open(folder.path(), labels).unwrap();
    assert_eq!(classes(&open(Cifar100Labels::Fine).train), (100, "worm"));
    assert_eq!(classes(&open(Cifar100Labels::Coarse).test), (20, "vehicles_2"));
    assert_eq!(open(Cifar100Labels::Fine).train.get(1).unwrap().image.pixels(), pattern(3072));
}

#[test]
fn stl_is_as_torchvision_reads_it() {
    let image = 3 * 96 * 96;
    let (train, test) = (pattern(3 * image), pattern(2 * image));
    let set = |train_labels: &[u8], folds: &str| {
        folder(&[
            ("train_X.bin", &train),
            ("train_y.bin", train_labels),
            ("test_X.bin", &test),
            ("test_y.bin", &[2, 5]),
            ("unlabeled_X.bin", &test),
            ("fold_indices.txt", folds.as_bytes()),
        ])
    };
    let good = set(&[3, 10, 1], "2 0\n1 2\n");
    let stl = Stl10::open(good.path()).unwrap();
    assert_eq!((stl.train.labels(), stl.test.labels()), (&[2, 9, 0][..], &[1, 4][..]));
    assert_eq!((classes(&stl.train), &stl.folds[..]), ((10, "car"), &[vec![2, 0], vec![1, 2]][..]));
    // Pixels that torchvision 0.29 reads from the same files.
    for (index, channel, y, x, expected) in [(0, 0, 0, 1, 61), (0, 0, 1, 0, 0), (1, 2, 95, 3, 40), (2, 1, 40, 77, 231)]
    {
        let image = stl.train.get(index).unwrap().image;
        assert_eq!(image.pixels()[(channel * 96 + y) * 96 + x], expected);
    }
    let unlabeled = Stl10::unlabeled(good.path()).unwrap();
    assert_eq!(unlabeled.labels(), [-1, -1]);
    assert_eq!(unlabeled.get(1).unwrap().image, stl.test.get(1).unwrap().image);

    refused(Stl10::open(set(&[3, 10], "").path()), &["train_y.bin", "2 labels for the 3 images"]);
    refused(Stl10::open(set(&[3, 0, 1], "").path()), &["train_y.bin", "label 1 is 0"]);
    refused(Stl10::open(set(&[3, 1, 1], "0 1\n3").path()), &["fold_indices.txt", "line 2", "\"3\""]);
}

#[test]
fn pixels_are_normalised_by_channel() {
    let pixels = pattern(4 * 3 * 5 * 3);
    let images = |labels: &[i32]| {
        Images::new(
            Array::new(vec![4, 3, 5, 3], pixels.clone()).unwrap(),
            labels.to_vec(),
            vec!["a".into(), "b".into()],
        )
    };
    let set = images(&[0, 1, -1, 0]).unwrap();
    assert_eq!(*set.normalization(), Normalization::of(&set).unwrap());
    let device = Device::reference();
    let batch = set.batches(&device, 4).unwrap().next().unwrap().unwrap();
    let got = batch.images.to_vec::<f32>().unwrap();
    let channel = |at: usize| at / 15 % 3;
    for c in 0..3 {
        let of_channel: Vec<f64> = (0..180).filter(|&at| channel(at) == c).map(|at| f64::from(pixels[at])).collect();
        let mean = of_channel.iter().sum::<f64>() / 60.0;
        let std = (of_channel.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 60.0).sqrt();
        assert!((f64::from(set.normalization().mean()[c]) - mean / 255.0).abs() < 1e-7);
        assert!((f64::from(set.normalization().std()[c]) - std / 255.0).abs() < 1e-7);
        for at in (0..180).filter(|&at| channel(at) == c) {
            // Scale and shift are f32, and so are values up to 4.
            assert!((f64::from(got[at]) - (f64::from(pixels[at]) - mean) / std).abs() < 1e-6, "pixel {at}");
        }
    }
    for (labels, text) in
        [(&[0, 1, 2, 0][..], "label 2 is 2"), (&[0, -2, 0, 0], "label 1 is -2"), (&[0], "1 labels for 4")]
    {
        let message = images(labels).unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
    }
    let grey = Normalization::new(&[0.5], &[0.5]).unwrap();
    assert!(set.with_normalization(&grey).unwrap_err().to_string().contains("1 means for images of 3 channels"));
    for std in [0.0, -1.0, f32::NAN] {
        assert!(Normalization::new(&[0.5], &[std]).is_err());
    }
}
