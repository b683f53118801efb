//! `wgrad data`.

use super::{answer, json, pictures, run, save, text, wgrad};
use image::imageops::FilterType;
use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::json;
use std::fs;

#[test]
fn classes_sizes_and_channels_are_counted() {
    let folder = pictures();
    let look = json(&mut wgrad(["data", text(folder.path())]));
    assert_eq!(look["layout"], "class_folders");
    assert_eq!(look["pictures"], 20);
    assert_eq!(look["classes"], json!([{ "name": "bars", "pictures": [10] }, { "name": "lines", "pictures": [10] }]));
    let all = json!({ "smallest": [12, 12], "median": [12, 12], "largest": [12, 12], "different": 1 });
    assert_eq!(look["sizes"], all);
    assert_eq!(look["channels"], json!({ "3": 20 }));
    assert_eq!((&look["unreadable"], &look["duplicates"]), (&json!([]), &json!([])));

    GrayImage::from_pixel(5, 30, Luma([7])).save(folder.path().join("bars/grey.png")).unwrap();
    RgbaImage::from_pixel(6, 7, Rgba([1, 2, 3, 4])).save(folder.path().join("bars/clear.png")).unwrap();
    let look = json(&mut wgrad(["data", text(folder.path())]));
    assert_eq!(look["channels"], json!({ "1": 1, "3": 20, "4": 1 }));
    assert_eq!(look["transparent"], 1);
    assert_eq!((&look["sizes"]["smallest"], &look["sizes"]["largest"]), (&json!([7, 6]), &json!([30, 5])));
    let table = answer(&mut wgrad(["data", text(folder.path())]));
    assert!(table.contains("bars      12\nlines     10\nall       22"), "{table}");
}

#[test]
fn parts_are_found_by_their_names() {
    let (parts, drawn) = (tempfile::tempdir().unwrap(), pictures());
    let path = |name: &str| parts.path().join(name);
    fs::create_dir(path("train")).unwrap();
    fs::rename(drawn.path().join("bars"), path("train/bars")).unwrap();
    fs::rename(drawn.path().join("lines"), path("train/lines")).unwrap();
    fs::create_dir_all(path("valid/lines")).unwrap();
    fs::rename(path("train/lines/3.png"), path("valid/lines/3.png")).unwrap();
    let look = json(&mut wgrad(["data", text(parts.path())]));
    assert_eq!(look["parts"], json!([{ "name": "train", "pictures": 19 }, { "name": "val", "pictures": 1 }]));
    // The class of the number 0 there is 1 here.
    assert_eq!(look["classes"][1], json!({ "name": "lines", "pictures": [9, 1] }));

    fs::rename(path("valid/lines"), path("valid/rays")).unwrap();
    let (code, _, stderr) = run(&mut wgrad(["data", text(parts.path())]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("\"rays\" is none of the training classes") && stderr.contains("bars, lines"), "{stderr}");
}

/// A disk on a slope of colours.
fn disk(size: u32, center: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| {
        let is_in = x.abs_diff(center).pow(2) + y.abs_diff(size / 2).pow(2) < (size / 4).pow(2);
        let slope = |at: u32| u8::try_from(at * 200 / size).unwrap();
        if is_in { Rgb([250, 220, 30]) } else { Rgb([slope(x), slope(y), 90]) }
    })
}

#[test]
fn duplicates_are_found_whether_equal_or_scaled() {
    let folder = pictures();
    let path = |name: &str| folder.path().join(name);
    fs::copy(path("bars/4.png"), path("bars/copy.png")).unwrap();
    save(&disk(96, 50), &path("bars/disk.png"));
    save(&image::imageops::resize(&disk(96, 50), 60, 60, FilterType::Triangle), &path("lines/scaled.jpg"));
    save(&disk(96, 60), &path("lines/other.png"));
    let look = json(&mut wgrad(["data", text(folder.path())]));
    let name = |name: &str| path(name).display().to_string();
    let group = |identical: bool, pictures: [String; 2], across_classes: bool| json!({ "identical": identical, "pictures": pictures, "across_parts": false, "across_classes": across_classes });
    let equal = group(true, [name("bars/4.png"), name("bars/copy.png")], false);
    assert_eq!(
        look["duplicates"],
        json!([equal, group(false, [name("bars/disk.png"), name("lines/scaled.jpg")], true)])
    );
}

#[test]
fn unreadable_files_are_listed_and_are_no_failure() {
    let folder = pictures();
    let path = folder.path().join("bars/7.png");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let look = json(&mut wgrad(["data", text(folder.path())]));
    assert_eq!(look["unreadable"][0]["file"], text(&path));
    assert_eq!(look["unreadable"].as_array().unwrap().len(), 1);
    let table = answer(&mut wgrad(["data", text(folder.path())]));
    assert!(table.contains(&format!("can't be read: 1\n  {}", text(&path))), "{table}");
}

#[test]
fn the_sheet_shows_samples_of_each_class() {
    let folder = pictures();
    let sheet = folder.path().join("sheet.png");
    let arguments = ["data", text(folder.path()), "--sheet", text(&sheet), "--samples", "3"];
    let (code, _, stderr) = run(&mut wgrad(arguments));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("rows 1 bars, 2 lines"), "{stderr}");
    let sheet = image::open(sheet).unwrap().into_rgb8();
    assert_eq!(sheet.dimensions(), (208, 140));
    // The first pictures of the two classes: a bright bar at the left, and a bright line at the top.
    let bright = |x: u32, y: u32| sheet.get_pixel(x, y).0[0] >= 180;
    assert!(bright(10, 50) && !bright(50, 10) && bright(50, 78) && !bright(10, 120));
}

#[test]
fn folders_that_are_no_data_set_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = run(&mut wgrad(["data", text(folder.path())]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("holds no folders") && stderr.contains("hint: the pictures of each class"), "{stderr}");
}
