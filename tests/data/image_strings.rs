//! Lines of text made of images.

use wgrad::data::{Array, Dataset, ImageStrings, Images, Sample};
use wgrad::{Error, Result};

/// Three images of two channels, 3 x 2: image `i` holds the bytes `20 i + 1` to `20 i + 12`, and is of class `i`.
fn images() -> Images {
    let bytes = (0..3u8).flat_map(|image| (1..=12).map(move |byte| 20 * image + byte)).collect();
    let classes = ["a", "b", "c"].map(String::from).to_vec();
    Images::new(Array::new(vec![3, 2, 3, 2], bytes).unwrap(), vec![0, 1, 2], classes).unwrap()
}

/// The images of a line from left to right, each with its row and column; everything else is zeros.
fn read(sample: &Sample<Vec<i32>>, size: [usize; 2]) -> Vec<(i32, [usize; 2])> {
    let at = |channel: usize, row: usize, column: usize| {
        usize::from(sample.image.pixels()[(channel * size[0] + row) * size[1] + column])
    };
    let mut found = Vec::new();
    for column in 0..size[1] {
        for row in 0..size[0] {
            // The upper left byte of an image's first channel.
            let first = at(0, row, column);
            if first % 20 == 1 {
                let whole = (0..12).all(|byte| at(byte / 6, row + byte / 2 % 3, column + byte % 2) == first + byte);
                assert!(whole, "an image at {row}, {column} is not whole");
                found.push(((first / 20) as i32, [row, column]));
            }
        }
    }
    assert_eq!(sample.image.pixels().iter().filter(|&&byte| byte > 0).count(), 12 * found.len());
    found
}

#[test]
fn labels_are_those_of_the_images_from_left_to_right() {
    let size = [5, 14];
    let lines = ImageStrings::new(images(), 200, 1..=5, size, 2).unwrap();
    let (mut lengths, mut rows, mut first) = ([0; 6], [0; 3], std::collections::BTreeSet::new());
    for index in 0..200 {
        let sample = lines.get(index).unwrap();
        let found = read(&sample, size);
        assert_eq!(found.iter().map(|(class, _)| *class).collect::<Vec<_>>(), sample.target, "{index}");
        lengths[found.len()] += 1;
        found.iter().for_each(|(_, [row, _])| rows[*row] += 1);
        first.insert(found[0].1[1]);
    }
    assert!(lengths[0] == 0 && lengths[1..].iter().all(|&count| count > 20), "{lengths:?}");
    assert!(rows.iter().all(|&count| count > 100), "{rows:?}");
    // A single image may begin anywhere.
    assert_eq!(first.into_iter().collect::<Vec<_>>(), (0..=12).collect::<Vec<_>>());
}

#[test]
fn a_line_follows_from_its_number() {
    let line = |seed: u64, index: usize| -> Result<Sample<Vec<i32>>> {
        ImageStrings::new(images(), 10, 2..=5, [3, 12], seed)?.get(index)
    };
    assert_eq!(line(1, 7).unwrap(), line(1, 7).unwrap());
    assert_ne!(line(1, 7).unwrap(), line(2, 7).unwrap());
    assert_ne!(line(1, 7).unwrap(), line(1, 6).unwrap());
    assert!(matches!(line(1, 10), Err(Error::IndexOutOfRange { .. })));
    let empty = std::ops::RangeInclusive::new(3, 2);
    for (lengths, size) in [(1..=5, [3, 9]), (1..=5, [2, 12]), (empty, [3, 12])] {
        let error = ImageStrings::new(images(), 1, lengths, size, 0).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains("images of 3 x 2"), "{error}");
    }
}
