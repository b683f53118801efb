//! Drawn clips.

use wgrad::Error;
use wgrad::data::{Dataset, MovingShapes};

const FRAMES: usize = 5;
const SIZE: [usize; 2] = [64, 80];

/// The pixels of the shape in one frame of a strip: those that differ from the background, the median, by more than noise.
fn shape(pixels: &[u8], frame: usize) -> Vec<[f64; 2]> {
    let plane = SIZE[0] * SIZE[1];
    let of = |channel: usize| &pixels[(channel * FRAMES + frame) * plane..][..plane];
    let median = |channel: usize| {
        let mut values = of(channel).to_vec();
        *values.select_nth_unstable(plane / 2).1
    };
    let medians = [0, 1, 2].map(median);
    let is_shape = |&at: &usize| (0..3).any(|channel| of(channel)[at].abs_diff(medians[channel]) > 32);
    (0..plane).filter(is_shape).map(|at| [(at / SIZE[1]) as f64, (at % SIZE[1]) as f64]).collect()
}

#[test]
fn the_motion_is_the_class() {
    let clips = MovingShapes::new(60, FRAMES, SIZE, 5).unwrap();
    let mut seen = [0; 6];
    for index in 0..60 {
        let sample = clips.get(index).unwrap();
        assert_eq!(sample.image.shape(), [3, FRAMES * SIZE[0], SIZE[1]]);
        let frames: Vec<Vec<[f64; 2]>> = (0..FRAMES).map(|frame| shape(sample.image.pixels(), frame)).collect();
        let middle = |frame: &[[f64; 2]], d: usize| frame.iter().map(|p| p[d]).sum::<f64>() / frame.len() as f64;
        let steps = frames.windows(2).map(|pair| {
            let [down, right] = [0, 1].map(|d| middle(&pair[1], d) - middle(&pair[0], d));
            (down, right, pair[1].len() as f64 / pair[0].len() as f64)
        });
        for (down, right, growth) in steps {
            let is_still = down.abs() < 1.0 && right.abs() < 1.0;
            // Each of the four steps is a quarter of a third to a half of the shorter side, 5 to 8 pixels.
            let goes = |along: f64, across: f64| (4.5..9.0).contains(&along) && across.abs() < 1.0;
            let is_right = match MovingShapes::CLASSES[sample.target as usize] {
                "left" => goes(-right, down),
                "right" => goes(right, down),
                "up" => goes(-down, right),
                "down" => goes(down, right),
                "grows" => is_still && growth > 1.15,
                _ => is_still && growth < 1.0 / 1.15,
            };
            assert!(is_right, "{index}: {} {down} {right} {growth}", sample.target);
        }
        seen[sample.target as usize] += 1;
    }
    assert!(seen.iter().all(|&count| count > 3), "{seen:?}");
}

#[test]
fn a_clip_follows_from_its_number() {
    let set = |seed: u64| MovingShapes::new(10, 3, [20, 16], seed).unwrap();
    assert_eq!(set(1).get(7).unwrap(), set(1).get(7).unwrap());
    assert_ne!(set(1).get(7).unwrap(), set(2).get(7).unwrap());
    assert_ne!(set(1).get(7).unwrap(), set(1).get(6).unwrap());
    assert!(matches!(set(1).get(10), Err(Error::IndexOutOfRange { .. })));
    let error = MovingShapes::new(1, 1, [20, 16], 0).unwrap_err();
    assert!(error.to_string().contains("1 frames of 20 x 16"), "{error}");
    assert!(MovingShapes::new(1, 2, [20, 15], 0).is_err());
}
