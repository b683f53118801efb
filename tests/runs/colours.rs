//! Transforms of colours, erasing and mixing, on a batch.

use crate::common::launches::{dispatches, noop};
use crate::common::{Random, adapter};
use wgrad::data::BoundingBox;
use wgrad::transforms::functional::InterpolationMode;
use wgrad::transforms::{
    AugMix, AugMixOptions, AutoAugment, AutoAugmentOptions, AutoAugmentPolicy, ColorJitter, ColorJitterOptions,
    Compose, CutMix, Cutout, Draws, ElasticTransform, ElasticTransformOptions, ErasingValue, GaussianBlur,
    GaussianNoise, MixUp, Normalize, RandAugment, RandAugmentOptions, RandomAdjustSharpness, RandomApply,
    RandomAutocontrast, RandomChannelPermutation, RandomChoice, RandomEqualize, RandomErasing, RandomErasingOptions,
    RandomGrayscale, RandomHorizontalFlip, RandomInvert, RandomOrder, RandomPhotometricDistort,
    RandomPhotometricDistortOptions, RandomPosterize, RandomResizedCrop, RandomResizedCropOptions, RandomRotation,
    RandomRotationOptions, RandomSolarize, RandomVerticalFlip, Transform, TrivialAugmentWide,
    TrivialAugmentWideOptions, Views, functional,
};
use wgrad::{DType, Device, Error, Result, Tensor};

const SHAPE: [usize; 4] = [8, 3, 12, 10];

fn boxed(transform: impl Transform + 'static) -> Box<dyn Transform> {
    Box::new(transform)
}

fn jitter() -> ColorJitter {
    ColorJitter::new(ColorJitterOptions::default().brightness(0.4).contrast(0.4).saturation(0.4).hue(0.1)).unwrap()
}

fn rand_augment() -> RandAugment {
    RandAugment::new(RandAugmentOptions::default()).unwrap()
}

fn erasing(value: ErasingValue) -> RandomErasing {
    RandomErasing::new(RandomErasingOptions::default().p(0.7).value(value)).unwrap()
}

/// One of each, with probabilities that leave some images as they are.
fn transforms() -> Vec<(&'static str, Box<dyn Transform>)> {
    let distort = RandomPhotometricDistort::new(RandomPhotometricDistortOptions::default()).unwrap();
    let some = || {
        vec![boxed(RandomInvert::new(0.5).unwrap()), boxed(jitter()), boxed(GaussianBlur::new(3, [0.5, 1.0]).unwrap())]
    };
    let inner = Compose::new().with(jitter()).with(RandomAdjustSharpness::new(2.0, 0.5).unwrap());
    let turn = || {
        RandomRotation::new([-40.0, 40.0], RandomRotationOptions::default().interpolation(InterpolationMode::Bilinear))
            .unwrap()
    };
    let bend = ElasticTransform::new(ElasticTransformOptions::default().sigma([1.0, 1.0])).unwrap();
    let moves = Compose::new().with(turn()).with(bend).with(RandomVerticalFlip::new(0.5).unwrap());
    let either = vec![boxed(turn()), boxed(RandomVerticalFlip::new(1.0).unwrap()), boxed(jitter())];
    let learned = |policy| boxed(AutoAugment::new(AutoAugmentOptions::default().policy(policy)));
    vec![
        ("RandAugment", boxed(rand_augment())),
        ("TrivialAugmentWide", boxed(TrivialAugmentWide::new(TrivialAugmentWideOptions::default()).unwrap())),
        ("AutoAugment of ImageNet", learned(AutoAugmentPolicy::ImageNet)),
        ("AutoAugment of CIFAR-10", learned(AutoAugmentPolicy::Cifar10)),
        ("AutoAugment of SVHN", learned(AutoAugmentPolicy::Svhn)),
        ("AugMix", boxed(AugMix::new(AugMixOptions::default()).unwrap())),
        ("ColorJitter", boxed(jitter())),
        ("RandomPhotometricDistort", boxed(distort)),
        ("RandomGrayscale", boxed(RandomGrayscale::new(0.5).unwrap())),
        ("RandomInvert", boxed(RandomInvert::new(0.5).unwrap())),
        ("RandomEqualize", boxed(RandomEqualize::new(0.5).unwrap())),
        ("RandomAutocontrast", boxed(RandomAutocontrast::new(0.5).unwrap())),
        ("RandomPosterize", boxed(RandomPosterize::new(3, 0.5).unwrap())),
        ("RandomSolarize", boxed(RandomSolarize::new(0.4, 0.5).unwrap())),
        ("RandomChannelPermutation", boxed(RandomChannelPermutation::new())),
        ("GaussianBlur", boxed(GaussianBlur::new([5, 3], [0.1, 2.0]).unwrap())),
        ("GaussianNoise", boxed(GaussianNoise::new(0.1, 0.2, true).unwrap())),
        ("RandomAdjustSharpness", boxed(RandomAdjustSharpness::new(0.3, 0.5).unwrap())),
        ("RandomErasing", boxed(erasing(ErasingValue::Constant(vec![0.1, 0.2, 0.3])))),
        ("RandomErasing of noise", boxed(erasing(ErasingValue::Random))),
        ("Cutout", boxed(Cutout::new(5))),
        (
            "RandomApply of moves",
            boxed(Compose::new().with(turn()).with(RandomApply::new(moves, 0.5).unwrap()).with(turn())),
        ),
        ("RandomChoice of moves", boxed(RandomChoice::new(either, None).unwrap())),
        ("RandomApply", boxed(RandomApply::new(inner, 0.6).unwrap())),
        ("RandomChoice", boxed(RandomChoice::new(some(), Some(&[1.0, 2.0, 1.0])).unwrap())),
        ("RandomOrder", boxed(RandomOrder::new(some()))),
    ]
}

fn pixels(images: usize) -> Vec<f32> {
    let mut random = Random(11);
    (0..images * SHAPE[1..].iter().product::<usize>()).map(|_| random.unit() as f32).collect()
}

/// The pixels of the images of some items after a transform.
fn transformed(device: &Device, transform: &dyn Transform, epoch: u64, items: std::ops::Range<usize>) -> Vec<f32> {
    let (all, each) = (pixels(SHAPE[0]), SHAPE[1..].iter().product::<usize>());
    let shape = [items.len(), SHAPE[1], SHAPE[2], SHAPE[3]];
    let images = Tensor::from_slice(device, &all[items.start * each..items.end * each], &shape).unwrap();
    let mut views = Views::new(images).unwrap();
    transform.apply(&mut views, &mut Draws::new(5, epoch, &items.collect::<Vec<_>>())).unwrap();
    views.images().unwrap().to_vec::<f32>().unwrap()
}

#[test]
fn an_image_has_the_same_numbers_in_any_batch_and_others_in_the_next_epoch() {
    let device = Device::reference();
    for (name, transform) in transforms() {
        let whole = transformed(&device, &transform, 0, 0..8);
        let parts = [0..3, 3..4, 4..8].map(|items| transformed(&device, &transform, 0, items)).concat();
        assert_eq!(whole, parts, "{name}");
        assert_ne!(whole, pixels(8), "{name} changes nothing");
        assert_ne!(whole, transformed(&device, &transform, 1, 0..8), "{name}: the next epoch is the same");
    }
}

#[test]
fn an_adapter_gives_what_the_reference_gives() {
    let Some(adapter) = adapter() else { return };
    let reference = Device::reference();
    for (name, transform) in transforms() {
        let expected = transformed(&reference, &transform, 0, 0..8);
        let got = transformed(&adapter, &transform, 0, 0..8);
        let worst = expected.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1e-5, "{name}: {worst}");
    }
}

#[test]
fn some_images_change_with_the_probability_and_the_others_stay() {
    let device = Device::reference();
    let count = 10_000;
    let frequency = |transform: &dyn Transform| {
        let mut views = Views::new(Tensor::full(&device, &[count, 1, 1, 2], 0.3f32).unwrap()).unwrap();
        transform.apply(&mut views, &mut Draws::new(1, 1, &(0..count).collect::<Vec<_>>())).unwrap();
        let values = views.images().unwrap().to_vec::<f32>().unwrap();
        assert!(values.chunks_exact(2).all(|pair| pair[0] == pair[1]));
        values.iter().step_by(2).filter(|&&value| value != 0.3).count() as f64 / count as f64
    };
    for (name, transform, p) in [
        ("RandomInvert", boxed(RandomInvert::new(0.3).unwrap()), 0.3),
        ("RandomPosterize", boxed(RandomPosterize::new(1, 0.8).unwrap()), 0.8),
        ("RandomSolarize", boxed(RandomSolarize::new(0.25, 0.5).unwrap()), 0.5),
        (
            "RandomApply",
            boxed(RandomApply::new(Compose::new().with(RandomInvert::new(0.5).unwrap()), 0.4).unwrap()),
            0.2,
        ),
        (
            "RandomChoice",
            boxed(
                RandomChoice::new(
                    vec![boxed(RandomInvert::new(1.0).unwrap()), boxed(Compose::new())],
                    Some(&[3.0, 1.0]),
                )
                .unwrap(),
            ),
            0.75,
        ),
    ] {
        let got = frequency(&*transform);
        // Five deviations.
        assert!((got - p).abs() < 5.0 * (p * (1.0 - p) / count as f64).sqrt(), "{name}: {got}, expected {p}");
    }
}

/// Inverting, then posterizing, differs from posterizing, then inverting.
#[test]
fn each_image_has_an_order_of_its_own() {
    let count = 10_000;
    let images = Tensor::full(&Device::reference(), &[count, 1, 1, 1], 0.3f32).unwrap();
    let mut views = Views::new(images).unwrap();
    let transforms = vec![boxed(RandomInvert::new(1.0).unwrap()), boxed(RandomPosterize::new(2, 1.0).unwrap())];
    RandomOrder::new(transforms).apply(&mut views, &mut Draws::new(1, 1, &(0..count).collect::<Vec<_>>())).unwrap();
    let values = views.images().unwrap().to_vec::<f32>().unwrap();
    let first = values.iter().filter(|&&value| value == 0.5).count();
    assert_eq!(first + values.iter().filter(|&&value| value == 0.75).count(), count);
    assert!((first as f64 / count as f64 - 0.5).abs() < 0.025, "{first}");
}

#[test]
fn noise_is_normal_and_differs_between_images() {
    let device = Device::reference();
    let mut views = Views::new(Tensor::zeros(&device, &[4, 1, 50, 50]).unwrap()).unwrap();
    GaussianNoise::new(0.5, 0.2, false).unwrap().apply(&mut views, &mut Draws::new(1, 1, &[0, 1, 2, 3])).unwrap();
    let values = views.images().unwrap().to_f64().unwrap();
    let mean =
        |power: i32| values.iter().map(|value| ((value - 0.5) / 0.2).powi(power)).sum::<f64>() / values.len() as f64;
    // Moments of 10,000 normal numbers, within five deviations of their means.
    for (power, expected, deviation) in
        [(1, 0.0, 1.0), (2, 1.0, 2f64.sqrt()), (3, 0.0, 15f64.sqrt()), (4, 3.0, 96f64.sqrt())]
    {
        assert!((mean(power) - expected).abs() < 5.0 * deviation / 100.0, "moment {power}: {}", mean(power));
    }
    let product: f64 = values[..2500].iter().zip(&values[2500..5000]).map(|(a, b)| (a - 0.5) * (b - 0.5)).sum();
    assert!((product / 2500.0 / 0.04).abs() < 0.1, "images have equal noise");
}

/// The mean of the weight of a kernel's middle over sigmas from 0.5 to 2, by the formula.
#[test]
fn deviations_of_blurs_are_drawn_evenly() {
    let count = 10_000;
    let dot = [0.0f32, 1.0, 0.0].repeat(count);
    let images = Tensor::from_slice(&Device::reference(), &dot, &[count, 1, 1, 3]).unwrap();
    let mut views = Views::new(images).unwrap();
    let blur = GaussianBlur::new([3, 1], [0.5, 2.0]).unwrap();
    blur.apply(&mut views, &mut Draws::new(1, 1, &(0..count).collect::<Vec<_>>())).unwrap();
    let middles: Vec<f64> = views.images().unwrap().to_f64().unwrap().chunks_exact(3).map(|row| row[1]).collect();
    let weight = |sigma: f64| 1.0 / (1.0 + 2.0 * (-0.5 / (sigma * sigma)).exp());
    let weights: Vec<f64> = (0..1000).map(|at| weight(0.5 + 1.5 * (f64::from(at) + 0.5) / 1000.0)).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let variance = mean(&weights.iter().map(|weight| (weight - mean(&weights)).powi(2)).collect::<Vec<_>>());
    assert!((mean(&middles) - mean(&weights)).abs() < 5.0 * (variance / count as f64).sqrt());
}

/// Image n is 1 in channel n and 0 elsewhere, so the means of its channels are its weights of the classes.
#[test]
fn labels_are_mixed_as_pixels_are() {
    let devices = [Some(Device::reference()), adapter()];
    let count = 6;
    for device in devices.into_iter().flatten() {
        for transform in [boxed(MixUp::new(0.7, count).unwrap()), boxed(CutMix::new(0.7, count).unwrap())] {
            let labels: Vec<i32> = (0..count as i32).collect();
            let labels = Tensor::from_slice(&device, &labels, &[count]).unwrap();
            let shares = labels.one_hot(Some(count)).unwrap().to_dtype(DType::F32).unwrap();
            let images =
                shares.reshape(&[6, 6, 1, 1]).unwrap().mul(&Tensor::ones(&device, &[1, 1, 9, 7]).unwrap()).unwrap();
            let mut views = Views::new(images).unwrap().with_labels(labels).unwrap();
            transform.apply(&mut views, &mut Draws::new(2, 0, &(0..count).collect::<Vec<_>>())).unwrap();
            let means = views.images().unwrap().mean([2, 3]).unwrap().to_vec::<f32>().unwrap();
            let labels = views.labels().unwrap().to_vec::<f32>().unwrap();
            assert!(means.iter().zip(&labels).all(|(mean, label)| (mean - label).abs() < 1e-5), "{means:?} {labels:?}");
            let sums: Vec<f32> = labels.chunks_exact(count).map(|row| row.iter().sum()).collect();
            assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6), "{sums:?}");
            assert!(
                labels.iter().filter(|&&label| label > 0.0 && label < 1.0).count() >= 6,
                "nothing is mixed: {labels:?}"
            );
        }
    }
}

#[test]
fn mixing_needs_labels_and_the_whole_batch() {
    let device = Device::reference();
    let views = || Views::new(Tensor::zeros(&device, &[2, 1, 2, 2]).unwrap()).unwrap();
    let labels = |values: &[i32]| Tensor::from_slice(&device, values, &[2]).unwrap();
    let draws = || Draws::new(0, 0, &[0, 1]);
    let mix = || MixUp::new(1.0, 3).unwrap();
    assert!(matches!(mix().apply(&mut views(), &mut draws()), Err(Error::Invalid { .. })));
    let some = RandomApply::new(Compose::new().with(mix()), 0.5).unwrap();
    let mut with_labels = views().with_labels(labels(&[0, 2])).unwrap();
    let refused = (0..20).any(|seed| some.apply(&mut with_labels, &mut Draws::new(seed, 0, &[0, 1])).is_err());
    assert!(refused, "some of the images were mixed");
    let bytes = Tensor::full(&device, &[2, 1, 2, 2], 3).unwrap();
    let mut bytes = Views::new(bytes).unwrap().with_labels(labels(&[0, 2])).unwrap();
    assert!(matches!(mix().apply(&mut bytes, &mut draws()), Err(Error::WrongDType { .. })));
}

/// Boxes move with the moved images, and with no others.
#[test]
fn targets_of_images_that_stay_stay() {
    let device = Device::reference();
    let one = BoundingBox { class: 0, corners: [0.0, 0.0, 1.0, 1.0], area: 1.0, is_ignored: false };
    let mut views =
        Views::new(Tensor::zeros(&device, &[40, 1, 4, 4]).unwrap()).unwrap().with_boxes(vec![vec![one]; 40]).unwrap();
    let flip = Compose::new().with(RandomInvert::new(1.0).unwrap()).with(RandomHorizontalFlip::new(1.0).unwrap());
    let draws = &mut Draws::new(0, 0, &(0..40).collect::<Vec<_>>());
    RandomApply::new(flip, 0.5).unwrap().apply(&mut views, draws).unwrap();
    let images = views.images().unwrap().to_vec::<f32>().unwrap();
    let boxes = views.boxes().unwrap();
    let moved = boxes.iter().filter(|boxes| boxes[0].corners == [3.0, 0.0, 4.0, 1.0]).count();
    assert!((5..35).contains(&moved));
    for (image, boxes) in images.chunks_exact(16).zip(boxes) {
        assert_eq!(image[0] == 1.0, boxes[0].corners[0] == 3.0);
    }
    let policy = rand_augment().apply(&mut views, &mut Draws::new(0, 0, &(0..40).collect::<Vec<_>>()));
    assert!(matches!(policy, Err(Error::Invalid { .. })));
}

/// An image in the corner of a larger batch becomes the same as alone, and everything outside it stays.
#[test]
fn images_of_several_sizes_are_changed_each_as_it_is() {
    let device = Device::reference();
    let equalize = || RandomEqualize::new(0.5).unwrap();
    let normalize = || Normalize::new(&[0.5, 0.4, 0.3], &[0.1, 0.2, 0.3]).unwrap();
    let erasing = || erasing(ErasingValue::Constant(vec![0.7]));
    let chain = Compose::new().with(jitter()).with(equalize()).with(erasing()).with(normalize());
    let sizes = [[4, 6], [7, 3], [7, 6]];
    let mut random = Random(3);
    let mut canvas = vec![0.0f32; 3 * 3 * 7 * 6];
    let mut alone = Vec::new();
    for (image, [height, width]) in sizes.into_iter().enumerate() {
        let values: Vec<f32> = (0..3 * height * width).map(|_| random.unit() as f32).collect();
        for (at, &value) in values.iter().enumerate() {
            let (channel, y, x) = (at / (height * width), at / width % height, at % width);
            canvas[((image * 3 + channel) * 7 + y) * 6 + x] = value;
        }
        let mut views = Views::new(Tensor::from_slice(&device, &values, &[1, 3, height, width]).unwrap()).unwrap();
        chain.apply(&mut views, &mut Draws::new(4, 0, &[image])).unwrap();
        alone.push(views.images().unwrap().to_vec::<f32>().unwrap());
    }
    let batch = Tensor::from_slice(&device, &canvas, &[3, 3, 7, 6]).unwrap();
    let mut views = Views::new(batch).unwrap().with_sizes(sizes.to_vec()).unwrap();
    chain.apply(&mut views, &mut Draws::new(4, 0, &[0, 1, 2])).unwrap();
    let got = views.images().unwrap().to_vec::<f32>().unwrap();
    for (at, got) in got.into_iter().enumerate() {
        let (image, channel, y, x) = (at / 126, at / 42 % 3, at / 6 % 7, at % 6);
        let [height, width] = sizes[image];
        let is_inside = y < height && x < width;
        let expected = if is_inside { alone[image][(channel * height + y) * width + x] } else { 0.0 };
        assert!((got - expected).abs() < 1e-6, "image {image}, channel {channel}, ({x}, {y}): {got}, {expected}");
    }
    for transform in [boxed(GaussianBlur::new(3, [1.0, 1.0]).unwrap()), boxed(rand_augment())] {
        let refused = transform.apply(&mut views, &mut Draws::new(0, 0, &[0, 1, 2]));
        assert!(matches!(refused, Err(Error::Invalid { .. })));
    }
}

#[test]
fn numbers_are_as_many_as_images() {
    let device = Device::reference();
    let images = Tensor::zeros(&device, &[2, 3, 4, 4]).unwrap();
    let numbers = Tensor::ones(&device, &[3]).unwrap();
    assert!(matches!(functional::adjust_brightness(&images, &numbers), Err(Error::Invalid { .. })));
    assert!(matches!(functional::adjust_sharpness(&images, &numbers), Err(Error::Invalid { .. })));
}

#[test]
fn images_that_steps_can_not_change_are_refused() {
    let device = Device::reference();
    let mut views = Views::new(Tensor::zeros(&device, &[2, 4, 2, 2]).unwrap()).unwrap();
    jitter().apply(&mut views, &mut Draws::new(0, 0, &[0, 1])).unwrap();
    assert!(matches!(views.images(), Err(Error::Invalid { .. })));
}

/// Records a batch of images that go through a transform.
fn batch(device: &Device, transform: &dyn Transform, count: usize) -> Result<Tensor> {
    let images = Tensor::from_slice(device, &vec![0.5f32; count * 3 * 32 * 32], &[count, 3, 32, 32])?;
    let mut views = Views::new(images)?;
    transform.apply(&mut views, &mut Draws::new(0, 0, &(0..count).collect::<Vec<_>>()))?;
    views.images()
}

/// The bound holds for any number of images.
#[test]
fn launches_of_policies_are_bounded_by_their_operations() {
    let device = noop();
    let mix = AugMix::new(AugMixOptions::default()).unwrap();
    for (transform, most) in [(boxed(rand_augment()), 20), (boxed(mix), 34)] {
        for count in [8, 64, 256] {
            let launches = dispatches(&device, || batch(&device, &*transform, count));
            assert!(launches <= most, "{launches} launches for {count} images");
        }
    }
}

#[test]
fn a_chain_of_colours_takes_few_launches() {
    let device = noop();
    let batch = |transform: &dyn Transform| batch(&device, transform, 4);
    let normalize = || Normalize::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]).unwrap();
    // The contrast's mean takes two, everything else one.
    let colours = Compose::new().with(jitter()).with(RandomGrayscale::new(0.2).unwrap()).with(normalize());
    assert_eq!(dispatches(&device, || batch(&colours)), 3);
    let pointwise = Compose::new()
        .with(RandomInvert::new(0.5).unwrap())
        .with(RandomSolarize::new(0.5, 0.5).unwrap())
        .with(RandomPosterize::new(3, 0.5).unwrap())
        .with(normalize());
    assert_eq!(dispatches(&device, || batch(&pointwise)), 1);
    // One more samples the crop and the flip.
    let usual = Compose::new()
        .with(RandomResizedCrop::new([24, 24], RandomResizedCropOptions::default()).unwrap())
        .with(RandomHorizontalFlip::new(0.5).unwrap())
        .with(jitter())
        .with(normalize());
    assert!(dispatches(&device, || batch(&usual)) <= 4);
}
