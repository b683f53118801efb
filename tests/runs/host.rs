//! Images in the host's memory in other sizes, and the upload of batches to the device.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::Path;
use wgrad::data::{
    Array, BoundingBox, DataLoader, DataLoaderOptions, Dataset, Image, Images, RandomSampler, Resident, Sample,
    SequentialSampler, pad_images,
};
use wgrad::transforms::functional::{ImageSize, InterpolationMode, Region, ResizeOptions};
use wgrad::transforms::{Draws, RandomHorizontalFlip, Transform};
use wgrad::{DType, Device, Result};

/// torchvision's bytes of the golden files, to one of 255.
#[test]
fn images_are_resized_as_torchvision_resizes_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/transforms_sizes.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (file, header) = (SafeTensors::deserialize(&bytes).unwrap(), SafeTensors::read_metadata(&bytes).unwrap().1);
    let cases: Vec<Value> = serde_json::from_str(&header.metadata().as_ref().unwrap()["cases"]).unwrap();
    let mut count = 0;
    for case in cases.iter().filter(|case| case["op"] == "transforms.resize" && case["raises"] == false) {
        let name = case["name"].as_str().unwrap();
        let input = file.tensor(&format!("{name}.arg.inpt")).unwrap();
        let &[1, channels, height, width] = input.shape() else { continue };
        if input.dtype() != Dtype::U8 {
            continue;
        }
        let attrs = &case["attrs"];
        let sizes = |value: &Value| value.as_u64().map(|size| size as usize);
        let size = match &attrs["size"] {
            Value::Array(pair) => ImageSize::Exact([sizes(&pair[0]).unwrap(), sizes(&pair[1]).unwrap()]),
            shortest => ImageSize::Shortest(sizes(shortest).unwrap()),
        };
        let options = ResizeOptions {
            interpolation: match attrs["interpolation"].as_str() {
                Some("nearest") => InterpolationMode::Nearest,
                Some("nearest-exact") => InterpolationMode::NearestExact,
                Some("bicubic") => InterpolationMode::Bicubic,
                _ => InterpolationMode::Bilinear,
            },
            max_size: sizes(&attrs["max_size"]),
            antialias: attrs["antialias"].as_bool().unwrap_or(true),
        };
        let image = Image::new([channels, height, width], input.data().to_vec()).unwrap();
        let (got, expected) = (image.resize(size, &options).unwrap(), file.tensor(&format!("{name}.out.0")).unwrap());
        assert_eq!(got.shape()[..], expected.shape()[1..], "{name}");
        let worst = got.pixels().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(1), "{name}: {worst:?}");
        count += 1;
    }
    assert!(count >= 20, "{count} cases");
}

#[test]
fn targets_go_along() {
    let mask: Vec<u8> = (0..48).map(|at| u8::from((2..5).contains(&(at % 8)) && (1..3).contains(&(at / 8)))).collect();
    let image = || Image::new([1, 6, 8], mask.clone()).unwrap();
    let one = BoundingBox { class: 1, corners: [2.0, 1.0, 5.0, 3.0], area: 6.0, is_ignored: false };
    let change = |sample: Sample<Image>| {
        sample.resize([12, 16], &ResizeOptions::default())?.pad([1, 2, 3, 4], &[0])?.letterbox(
            [36, 40],
            &[0],
            &ResizeOptions::default(),
        )
    };
    let masked = change(Sample { image: image(), target: image() }).unwrap();
    let boxed = Sample { image: image(), target: vec![one] };
    let boxed = boxed.resize([12, 16], &ResizeOptions::default()).unwrap().pad([1, 2, 3, 4], &[0]).unwrap();
    let boxed = boxed.letterbox([36, 40], &[0], &ResizeOptions::default()).unwrap();
    // Twice as large, moved by (1, 2), twice as large again, in the middle of 36 x 40.
    assert_eq!(boxed.target[0].corners, [10.0, 8.0, 22.0, 16.0]);
    assert_eq!(boxed.target[0].area, 96.0);
    let inside = |at: usize| (10..22).contains(&(at % 40)) && (8..16).contains(&(at / 40));
    let expected: Vec<u8> = (0..36 * 40).map(|at| u8::from(inside(at))).collect();
    assert_eq!(masked.target.pixels(), expected);
    let cut = Sample { image: image(), target: vec![one] }.center_crop([2, 4]).unwrap();
    assert_eq!(cut.target[0].corners, [0.0, 0.0, 3.0, 1.0]);
    let outside = Region { top: 9, left: -9, height: 2, width: 3 };
    assert_eq!(image().crop(outside, &[7]).unwrap().pixels(), [7; 6]);
    assert!(image().crop(outside, &[7, 8]).is_err());
}

#[test]
fn batches_become_views_with_their_items() {
    let samples: Vec<Sample<i32>> = (0..5u8)
        .map(|at| {
            let size = if at == 2 { [1, 1, 3] } else { [1, 2, 2] };
            let image = Image::new(size, vec![at * 50; size.iter().product()]).unwrap();
            Sample { image, target: i32::from(at) }
        })
        .collect();
    let collate = |items: Vec<(usize, Sample<i32>)>| {
        let (items, samples): (Vec<usize>, Vec<Sample<i32>>) = items.into_iter().unzip();
        Ok((items, pad_images(samples, 9)?))
    };
    let options = DataLoaderOptions::default().batch_size(3);
    let loader = DataLoader::new(samples.enumerate(), SequentialSampler::new(5), collate, options).unwrap();
    let device = Device::reference();
    let mut seen = Vec::new();
    for batch in loader.epoch(0).unwrap() {
        let (items, batch) = batch.unwrap();
        let mut views = batch.views(&device, DType::I32).unwrap();
        if items.contains(&2) {
            assert_eq!(views.sizes(), [[2, 2], [2, 2], [1, 3]]);
        }
        RandomHorizontalFlip::new(1.0).unwrap().apply(&mut views, &mut Draws::new(0, 0, &items)).unwrap();
        let images = views.images().unwrap();
        let each: usize = images.shape()[1..].iter().product();
        let pixels = images.to_vec::<i32>().unwrap();
        for (at, &item) in items.iter().enumerate() {
            assert_eq!(pixels[at * each], item as i32 * 50, "mirrored within its own size");
        }
        assert_eq!(
            views.labels().unwrap().to_vec::<i32>().unwrap(),
            items.iter().map(|&at| at as i32).collect::<Vec<_>>()
        );
        seen.extend(items);
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[test]
fn a_resident_set_gives_its_bytes() -> Result<()> {
    let pixels: Vec<u8> = (0..7 * 9).map(|at| (at * 4) as u8).collect();
    let images = Images::new(Array::new(vec![7, 3, 3], pixels.clone())?, (0..7).collect(), vec!["x".into(); 7])?;
    let resident = Resident::new(&Device::reference(), &images)?;
    let mut seen = Vec::new();
    for batch in resident.views(3, &RandomSampler::new(7, 5), 1, DType::F32)? {
        let (items, mut views) = batch?;
        let got = views.images()?.to_vec::<f32>()?;
        for (item, got) in items.iter().zip(got.chunks(9)) {
            let own = &pixels[item * 9..][..9];
            assert!(got.iter().zip(own).all(|(a, &b)| (a - f32::from(b) / 255.0).abs() < 1e-7));
        }
        assert_eq!(views.labels().unwrap().to_vec::<i32>()?, items.iter().map(|&at| at as i32).collect::<Vec<_>>());
        seen.extend(items);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..7).collect::<Vec<_>>());
    assert!(resident.views(0, &RandomSampler::new(7, 5), 1, DType::F32).is_err());
    Ok(())
}
