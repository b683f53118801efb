//! Geometric transforms of batches: a chain is sampled once, targets go along, and draws follow from seed and item.

use crate::common::launches::dispatches;
use crate::common::{Random, adapter, steps};
use wgrad::data::{Array, BoundingBox, Images, Resident, SequentialSampler};
use wgrad::transforms::functional::{
    self, AffineNumbers, InterpolationMode, PaddingMode, ResizeOptions, RotateOptions, WarpOptions,
};
use wgrad::transforms::*;
use wgrad::{DType, Device, DeviceOptions, Result, Tensor};

/// Images of random numbers.
fn noise(device: &Device, shape: [usize; 4]) -> Tensor {
    let mut random = Random(7);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.unit() as f32).collect();
    Tensor::from_slice(device, &values, &shape).unwrap()
}

/// Images that rise evenly to the right and downwards, on which sampling twice loses nothing.
fn slopes(device: &Device, [count, channels, height, width]: [usize; 4]) -> Tensor {
    let value = |at: usize| {
        let (x, y, plane) = (at % width, at / width % height, at / (width * height));
        0.01 * x as f32 + 0.02 * y as f32 + 0.1 * plane as f32
    };
    let values: Vec<f32> = (0..count * channels * height * width).map(value).collect();
    Tensor::from_slice(device, &values, &[count, channels, height, width]).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let (a, b) = (a.to_vec::<f32>().unwrap(), b.to_vec::<f32>().unwrap());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn apply(transform: &dyn Transform, images: &Tensor, items: &[usize]) -> Result<Tensor> {
    let mut views = Views::new(images.clone())?;
    transform.apply(&mut views, &mut Draws::new(3, 1, items))?;
    views.images()
}

/// Every geometric transform that makes images of one size, one after the other.
fn long_chain() -> Compose {
    Compose::new()
        .with(RandomHorizontalFlip::new(0.5).unwrap())
        .with(RandomCrop::new([20, 18], RandomCropOptions::default().padding([2; 4])))
        .with(
            RandomRotation::new(
                [-20.0, 20.0],
                RandomRotationOptions::default().interpolation(InterpolationMode::Bilinear),
            )
            .unwrap(),
        )
        .with(RandomPerspective::new(RandomPerspectiveOptions::default()).unwrap())
        .with(RandomVerticalFlip::new(0.5).unwrap())
        .with(ElasticTransform::new(ElasticTransformOptions::default().sigma([1.5; 2])).unwrap())
        .with(RandomResizedCrop::new([12, 14], RandomResizedCropOptions::default().scale([0.4, 1.0])).unwrap())
        .with(
            RandomAffine::new(
                [-5.0, 5.0],
                RandomAffineOptions::default().interpolation(InterpolationMode::Bilinear).scale([0.8, 1.2]),
            )
            .unwrap(),
        )
}

#[test]
fn numbers_of_an_image_follow_from_its_item_and_not_from_its_batch() {
    let device = Device::reference();
    let images = noise(&device, [4, 2, 20, 24]);
    let chain = long_chain();
    let together = apply(&chain, &images, &[9, 2, 5, 7]).unwrap();
    let first = apply(&chain, &images.narrow(0, 0, 3).unwrap(), &[9, 2, 5]).unwrap();
    let last = apply(&chain, &images.narrow(0, 3, 1).unwrap(), &[7]).unwrap();
    let apart = Tensor::cat(&[&first, &last], 0).unwrap();
    assert_eq!(largest_difference(&together, &apart), 0.0);
    assert!(largest_difference(&together, &apply(&chain, &images, &[1, 2, 5, 7]).unwrap()) > 0.1);
    let mut views = Views::new(images.clone()).unwrap();
    chain.apply(&mut views, &mut Draws::new(3, 2, &[9, 2, 5, 7])).unwrap();
    assert!(largest_difference(&together, &views.images().unwrap()) > 0.1, "another epoch draws other numbers");
}

#[test]
fn the_adapter_agrees_with_the_reference() {
    let Some(device) = adapter() else { return };
    let shape = [3, 2, 20, 24];
    let on = |device: &Device| apply(&long_chain(), &noise(device, shape), &[0, 1, 2]).unwrap();
    let difference = largest_difference(&on(&device), &on(&Device::reference()));
    // A position among 20 is off by some 1e-6, and between neighbours there is up to 1.
    assert!(difference < 2e-5, "{difference}");
}

#[test]
fn whole_elements_move_as_by_functions_one_after_the_other() {
    let device = Device::reference();
    let images = noise(&device, [2, 2, 7, 9]);
    let padding = PaddingMode::Constant(vec![0.25]);
    let chain = Compose::new()
        .with(RandomHorizontalFlip::new(1.0).unwrap())
        .with(Pad::new([1, 2, 3, 0], padding.clone()))
        .with(CenterCrop::new([6, 8]))
        .with(RandomVerticalFlip::new(1.0).unwrap())
        // Another fill value than before: pending transforms are carried out first.
        .with(CenterCrop::new([12, 12]))
        .with(Pad::new([1; 4], PaddingMode::Reflect));
    let mut expected = functional::horizontal_flip(&images).unwrap();
    expected = functional::pad(&expected, [1, 2, 3, 0], &padding).unwrap();
    expected = functional::vertical_flip(&functional::center_crop(&expected, [6, 8]).unwrap()).unwrap();
    expected = functional::center_crop(&expected, [12, 12]).unwrap();
    expected = functional::pad(&expected, [1; 4], &PaddingMode::Reflect).unwrap();
    let got = apply(&chain, &images, &[0, 1]).unwrap();
    assert_eq!(largest_difference(&got, &expected), 0.0);
}

#[test]
fn a_chain_is_what_its_functions_give_one_after_the_other() {
    let device = Device::reference();
    let images = slopes(&device, [1, 1, 72, 90]);
    let fill = vec![5.0];
    let options = ResizeOptions::default().antialias(false);
    let chain = Compose::new()
        .with(
            RandomRotation::new(
                [30.0, 30.0],
                RandomRotationOptions {
                    fill: fill.clone(),
                    interpolation: InterpolationMode::Bilinear,
                    ..Default::default()
                },
            )
            .unwrap(),
        )
        .with(Resize::new([60, 108], options))
        .with(
            RandomAffine::new(
                [-20.0, -20.0],
                RandomAffineOptions {
                    fill: vec![9.0],
                    interpolation: InterpolationMode::Bilinear,
                    ..Default::default()
                },
            )
            .unwrap(),
        )
        .with(RandomHorizontalFlip::new(1.0).unwrap());
    let bilinear = InterpolationMode::Bilinear;
    let rotating = RotateOptions { interpolation: bilinear, fill: Some(fill), ..Default::default() };
    let mut expected = functional::rotate(&images, &[30.0], &rotating).unwrap();
    expected = functional::resize(&expected, [60, 108], &options).unwrap();
    let leaning = AffineNumbers { angle: -20.0, ..AffineNumbers::default() };
    let options = WarpOptions { fill: Some(vec![9.0]), ..Default::default() };
    expected = functional::affine(&expected, &[leaning], &options).unwrap();
    expected = functional::horizontal_flip(&expected).unwrap();
    let (got, expected) = (apply(&chain, &images, &[0]).unwrap(), expected);
    let (got, expected) = (got.to_vec::<f32>().unwrap(), expected.to_vec::<f32>().unwrap());
    // At the edges of frames the two blend differently; elsewhere they are equal, in all three kinds of regions.
    let close = got.iter().zip(&expected).filter(|(a, b)| (*a - *b).abs() < 1e-4);
    let kinds = close.clone().fold([0; 3], |mut kinds, (&a, _)| {
        kinds[if a == 5.0 {
            1
        } else if a == 9.0 {
            2
        } else {
            0
        }] += 1;
        kinds
    });
    assert!(
        close.count() > got.len() * 90 / 100 && kinds.iter().all(|&count| count > 20),
        "{kinds:?} of {}",
        got.len()
    );
}

#[test]
fn boxes_masks_and_key_points_go_along() {
    let device = Device::reference();
    let (height, width) = (40, 48);
    let corners = [10.0f32, 8.0, 30.0, 26.0];
    let inside = |at: usize| {
        let (x, y) = ((at % width) as f32 + 0.5, (at / width % height) as f32 + 0.5);
        corners[0] < x && x < corners[2] && corners[1] < y && y < corners[3]
    };
    let mask: Vec<i32> = (0..2 * height * width).map(|at| i32::from(inside(at)) * 3).collect();
    let one = BoundingBox { class: 4, corners, area: 360.0, is_ignored: false };
    let chain = Compose::new()
        .with(RandomHorizontalFlip::new(0.5).unwrap())
        .with(RandomZoomOut::new(RandomZoomOutOptions::default().p(1.0).side_range([1.2, 1.5])).unwrap())
        .with(Resize::new([40, 50], ResizeOptions::default()))
        .with(
            RandomRotation::new(
                [90.0, 90.0],
                RandomRotationOptions::default().interpolation(InterpolationMode::Bilinear).expand(true),
            )
            .unwrap(),
        )
        .with(
            RandomAffine::new(
                [0.0, 0.0],
                RandomAffineOptions::default().interpolation(InterpolationMode::Bilinear).scale([0.8, 1.1]),
            )
            .unwrap(),
        );
    let mut views = Views::new(noise(&device, [2, 3, height, width]))
        .unwrap()
        .with_masks(Tensor::from_slice(&device, &mask, &[2, 1, height, width]).unwrap())
        .unwrap()
        .with_boxes(vec![vec![one], vec![one, one]])
        .unwrap()
        .with_key_points(vec![vec![[corners[0], corners[1]]]; 2])
        .unwrap();
    chain.apply(&mut views, &mut Draws::new(0, 0, &[5, 6])).unwrap();
    let [rows, columns] = views.size();
    assert_eq!([rows, columns], [50, 40]);
    let mask = views.masks().unwrap().unwrap().to_vec::<i32>().unwrap();
    for image in 0..2 {
        let places = (0..rows * columns).filter(|at| mask[image * rows * columns + at] == 3);
        let bounds = places.fold([f32::MAX, f32::MAX, 0.0, 0.0], |b: [f32; 4], at| {
            let (x, y) = ((at % columns) as f32, (at / columns) as f32);
            [b[0].min(x), b[1].min(y), b[2].max(x + 1.0), b[3].max(y + 1.0)]
        });
        let found = views.boxes().unwrap()[image][0];
        let [x, y] = views.key_points().unwrap()[image][0];
        for (edge, bound) in found.corners.iter().zip(bounds) {
            assert!((edge - bound).abs() < 1.01, "{:?} and {bounds:?}", found.corners);
        }
        let is_corner = |d: usize, at: f32| (found.corners[d] - at).abs().min((found.corners[d + 2] - at).abs()) < 1e-3;
        assert!(is_corner(0, x) && is_corner(1, y), "({x}, {y}) of {:?}", found.corners);
        let area = (found.corners[2] - found.corners[0]) * (found.corners[3] - found.corners[1]);
        assert!((found.area / area - 1.0).abs() < 1e-3 && found.class == 4, "{found:?}");
    }
    let tensors = views.box_tensors().unwrap().unwrap();
    assert_eq!((&tensors.boxes.shape()[..], &tensors.classes.shape()[..]), (&[2, 2, 4][..], &[2, 2][..]));
    assert_eq!(tensors.classes.to_vec::<i32>().unwrap(), [4, -1, 4, 4]);
}

#[test]
fn images_of_several_sizes_come_to_one() {
    let device = Device::reference();
    let images = noise(&device, [2, 1, 12, 16]);
    let mut views = Views::new(images.clone()).unwrap().with_sizes(vec![[12, 10], [8, 16]]).unwrap();
    Resize::new([6, 6], ResizeOptions::default()).apply(&mut views, &mut Draws::new(0, 0, &[0, 1])).unwrap();
    let got = views.images().unwrap();
    for (image, [height, width]) in [[12, 10], [8, 16]].into_iter().enumerate() {
        let own = images.narrow(0, image, 1).unwrap().narrow(2, 0, height).unwrap().narrow(3, 0, width).unwrap();
        let expected = functional::resize(&own, [6, 6], &ResizeOptions::default()).unwrap();
        let difference = largest_difference(&got.narrow(0, image, 1).unwrap(), &expected);
        assert!(difference < 1e-6, "image {image}: {difference}");
    }
    assert!(Views::new(images).unwrap().with_sizes(vec![[13, 1], [1, 1]]).is_err());
}

#[test]
fn letters_fit_their_boxes() {
    let device = Device::reference();
    let mut views = Views::new(Tensor::ones(&device, &[1, 1, 10, 20]).unwrap()).unwrap();
    let letterbox = Letterbox::new([16, 16], &[0.5], ResizeOptions::default());
    letterbox.apply(&mut views, &mut Draws::new(0, 0, &[0])).unwrap();
    let rows = views.images().unwrap().to_vec::<f32>().unwrap();
    let expected: Vec<f32> = (0..256).map(|at| if (4..12).contains(&(at / 16)) { 1.0 } else { 0.5 }).collect();
    assert!(rows.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{rows:?}");
}

#[test]
fn gradients_flow_through_a_chain() {
    let device = Device::reference();
    let images = noise(&device, [2, 1, 16, 16]).requires_grad();
    let mut views = Views::new(images.clone()).unwrap();
    let chain = Compose::new()
        .with(RandomResizedCrop::new([8, 8], RandomResizedCropOptions::default()).unwrap())
        .with(ElasticTransform::new(ElasticTransformOptions::default().sigma([0.4; 2]).alpha([1.0; 2])).unwrap());
    chain.apply(&mut views, &mut Draws::new(0, 0, &[0, 1])).unwrap();
    views.images().unwrap().sum_all().unwrap().backward().unwrap();
    let total: f32 = images.grad().unwrap().to_vec::<f32>().unwrap().iter().sum();
    // Weights of each output add up to 1 except at the edges.
    assert!((90.0..128.1).contains(&total), "{total}");
}

#[test]
fn wrong_options_are_errors() {
    assert!(RandomHorizontalFlip::new(1.5).is_err());
    assert!(RandomResizedCrop::new([0, 4], RandomResizedCropOptions::default()).is_err());
    assert!(RandomResizedCrop::new([4, 4], RandomResizedCropOptions::default().ratio([2.0, 1.0])).is_err());
    assert!(RandomAffine::new([0.0, 0.0], RandomAffineOptions::default().translate([2.0, 0.0])).is_err());
    assert!(RandomAffine::new([3.0, -3.0], RandomAffineOptions::default()).is_err());
    let bicubic = RandomRotationOptions::default().interpolation(InterpolationMode::Bicubic);
    assert!(RandomRotation::new([0.0, 1.0], bicubic).is_err());
    assert!(RandomPerspective::new(RandomPerspectiveOptions::default().distortion_scale(1.1)).is_err());
    assert!(ElasticTransform::new(ElasticTransformOptions::default().sigma([0.0, 1.0])).is_err());
    assert!(RandomZoomOut::new(RandomZoomOutOptions::default().side_range([0.5, 2.0])).is_err());
    let small = Tensor::ones(&Device::reference(), &[1, 1, 4, 4]).unwrap();
    assert!(apply(&RandomCrop::new([5, 4], RandomCropOptions::default()), &small, &[0]).is_err());
    let padded = RandomCrop::new([5, 4], RandomCropOptions::default().pad_if_needed(true));
    assert_eq!(apply(&padded, &small, &[0]).unwrap().shape()[..], [1, 1, 5, 4]);
    assert!(apply(&RandomIoUCrop::new(RandomIoUCropOptions::default()).unwrap(), &small, &[0]).is_err());
}

#[test]
fn the_usual_augmentations_take_few_launches() {
    for options in [steps::gpu(), steps::software()] {
        let device = Device::with_options(&DeviceOptions::default().noop(options)).unwrap();
        let pixels = Array::new(vec![8, 3, 32, 32], vec![9; 8 * 3 * 1024]).unwrap();
        let images = Images::new(pixels, vec![0; 8], vec!["cat".into()]).unwrap();
        let resident = Resident::new(&device, &images).unwrap();
        let colours = ColorJitterOptions::default().brightness(0.4).contrast(0.4).saturation(0.4).hue(0.1);
        let chain = Compose::new()
            .with(RandomResizedCrop::new([24, 24], RandomResizedCropOptions::default()).unwrap())
            .with(RandomHorizontalFlip::new(0.5).unwrap())
            .with(ColorJitter::new(colours).unwrap())
            .with(Normalize::new(&[0.5; 3], &[0.2; 3]).unwrap());
        let order = SequentialSampler::new(8);
        // From bytes in the device's memory all the way to a network's input.
        let launches = dispatches(&device, || {
            let mut batches = resident.views(8, &order, 0, DType::F32)?;
            let (items, mut views) = batches.next().unwrap()?;
            chain.apply(&mut views, &mut Draws::new(0, 0, &items))?;
            views.images()
        });
        assert!(launches <= 8, "{launches}");
        let moves = Compose::new()
            .with(RandomCrop::new([32, 32], RandomCropOptions::default().padding([4; 4])))
            .with(
                RandomRotation::new(
                    [-10.0, 10.0],
                    RandomRotationOptions::default().interpolation(InterpolationMode::Bilinear),
                )
                .unwrap(),
            )
            .with(RandomPerspective::new(RandomPerspectiveOptions::default()).unwrap())
            .with(
                RandomAffine::new(
                    [-10.0, 10.0],
                    RandomAffineOptions::default().interpolation(InterpolationMode::Bilinear),
                )
                .unwrap(),
            )
            .with(Resize::new([24, 24], ResizeOptions::default()));
        let images = Tensor::ones(&device, &[8, 3, 32, 32]).unwrap();
        assert_eq!(dispatches(&device, || apply(&moves, &images, &[0, 1, 2, 3, 4, 5, 6, 7])), 1);
    }
}
