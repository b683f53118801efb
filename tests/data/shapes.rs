//! Drawn shapes.

use wgrad::data::{Dataset, Drawing, Shapes};
use wgrad::{Error, Result};

fn drawings(count: usize, size: [usize; 2], most: usize) -> Vec<Drawing> {
    let shapes = Shapes::new(count, size, 3).unwrap().most(most).unwrap();
    (0..count).map(|index| shapes.get(index).unwrap()).collect()
}

/// The channels of a drawing's pixels where a mask of the same size is 1.
fn colours(drawing: &Drawing, mask: &[u8]) -> Vec<[f64; 3]> {
    let pixels = drawing.image.pixels();
    let of = |at: usize| [0, 1, 2].map(|channel| f64::from(pixels[channel * mask.len() + at]));
    (0..mask.len()).filter(|&at| mask[at] == 1).map(of).collect()
}

#[test]
fn shapes_have_the_area_of_circles_squares_and_triangles() {
    let mut seen = [0; 3];
    for drawing in drawings(40, [160, 200], 3) {
        for found in &drawing.boxes {
            let [left, top, right, bottom] = found.corners.map(f64::from);
            let (width, height) = (right - left, bottom - top);
            let share = f64::from(found.area) / (width * height);
            let expected = [std::f64::consts::PI / 4.0, 1.0, 0.5][found.class as usize];
            // The outline, of half a pixel's error, is at most four sides long.
            assert!((share - expected).abs() < 2.0 / width.min(height), "{found:?}: {share}");
            assert!((19.0..=82.0).contains(&width) && (18.0..=82.0).contains(&height), "{found:?}");
            seen[found.class as usize] += 1;
        }
    }
    assert!(seen.iter().all(|&count| count > 10), "{seen:?}");
}

#[test]
fn boxes_and_masks_are_those_of_the_pixels() {
    let mut counts = [0; 5];
    for drawing in drawings(60, [40, 56], 5) {
        let (mask, plane) = (drawing.mask.pixels(), 40 * 56);
        let mut owners = vec![0; plane];
        for (found, own) in drawing.boxes.iter().zip(&drawing.masks) {
            assert_eq!(own.shape(), [1, 40, 56]);
            let own: Vec<usize> = (0..plane).filter(|&at| own.pixels()[at] == 1).collect();
            let (xs, ys) = (own.iter().map(|at| at % 56), own.iter().map(|at| at / 56));
            let corners = [xs.clone().min(), ys.clone().min(), xs.max().map(|x| x + 1), ys.max().map(|y| y + 1)];
            assert_eq!(found.corners, corners.map(|edge| edge.unwrap() as f32));
            assert_eq!(found.area, own.len() as f32);
            for at in own {
                assert_eq!(i32::from(mask[at]), found.class + 1);
                owners[at] += 1;
            }
        }
        // Shapes don't overlap, and the rest is background.
        assert!((0..plane).all(|at| owners[at] == usize::from(mask[at] > 0)));
        assert_eq!(drawing.boxes.len(), drawing.masks.len());
        counts[drawing.boxes.len() - 1] += 1;
    }
    assert!(counts[..4].iter().all(|&count| count > 3), "{counts:?}");
}

#[test]
fn shapes_stand_out_from_a_noisy_background() {
    for drawing in drawings(30, [32, 32], 3) {
        let background: Vec<u8> = drawing.mask.pixels().iter().map(|&class| u8::from(class == 0)).collect();
        let of = |mask: &[u8]| {
            let colours = colours(&drawing, mask);
            [0, 1, 2].map(|channel| {
                let values = || colours.iter().map(|colour| colour[channel]);
                let mean = values().sum::<f64>() / colours.len() as f64;
                (mean, (values().map(|value| (value - mean).powi(2)).sum::<f64>() / colours.len() as f64).sqrt())
            })
        };
        let ground = of(&background);
        for mask in &drawing.masks {
            let shape = of(mask.pixels());
            // 64 without noise, which saturates at black and white.
            assert!((0..3).all(|channel| (shape[channel].0 - ground[channel].0).abs() > 50.0), "{shape:?} {ground:?}");
        }
        // Uniform noise of -24 to 24 has a deviation of 14.1, half of it where bytes saturate.
        assert!(ground.iter().all(|(_, deviation)| (5.0..16.0).contains(deviation)), "{ground:?}");
    }
}

#[test]
fn a_drawing_follows_from_seed_and_number() -> Result<()> {
    let of = |count, seed, index| Shapes::new(count, [24, 24], seed)?.get(index);
    assert_eq!(of(10, 5, 4)?, of(1000, 5, 4)?);
    assert_ne!(of(10, 5, 4)?.image, of(10, 6, 4)?.image);
    assert_ne!(of(10, 5, 4)?.image, of(10, 5, 5)?.image);
    // The same bytes on every machine.
    let sum = of(10, 5, 4)?.image.pixels().iter().fold(0u64, |sum, &byte| sum.wrapping_mul(31) + u64::from(byte));
    assert_eq!(sum, 7_120_303_796_583_609_944);
    Ok(())
}

#[test]
fn sizes_and_counts_are_checked() {
    let refused = |result: Result<Shapes>, text: &str| {
        let error = result.err().unwrap();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(text), "{error}");
    };
    refused(Shapes::new(1, [7, 20], 0), "7 x 20");
    refused(Shapes::new(1, [20, 20], 0).unwrap().most(0), "at most 0");
    assert!(matches!(Shapes::new(2, [8, 8], 0).unwrap().get(2), Err(Error::IndexOutOfRange { .. })));
    assert!(drawings(50, [8, 9], 9).iter().all(|drawing| !drawing.boxes.is_empty()));
}
