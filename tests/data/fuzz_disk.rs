//! Image files and annotations that were changed at random.

use crate::files::made;
use crate::fuzz::fuzz;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wgrad::data::{
    ColorMode, Dataset, Image, ImageHeader, MaskFolder, TableColumns, coco, multi_label_image_table, voc, yolo,
};

/// Parsers keep several copies of text.
const ALLOWED: usize = 1 << 20;

/// Decoders allocate the size that a header announces, up to 64 MB; it is converted, and divided by channels.
const ALLOWED_PIXELS: usize = 1 << 28;

fn root(folders: &[&str]) -> TempDir {
    let root = TempDir::new().unwrap();
    folders.iter().for_each(|folder| fs::create_dir(root.path().join(folder)).unwrap());
    root
}

#[test]
fn images() {
    let names =
        ["rgb.png", "palette.png", "deep.png", "turned.png", "smooth.jpg", "turned6.jpg", "rgb.webp", "smooth.webp"];
    let names = names.into_iter().chain(["palette.bmp", "rgb.bmp", "rgb.tiff", "grey.tiff"]);
    let good = names.map(|name| fs::read(made("images").join(name)).unwrap()).collect();
    fuzz(root(&[]).path(), "image", good, ALLOWED_PIXELS, |folder| {
        Image::open(folder.join("image"), ColorMode::Rgb).map(|_| ())
    });
}

#[test]
fn image_headers() {
    let names =
        ["rgb.png", "deep.png", "turned.png", "smooth.jpg", "turned6.jpg", "smooth.webp", "rgb.bmp", "rgb.tiff"];
    let good = names.map(|name| fs::read(made("images").join(name)).unwrap()).to_vec();
    fuzz(root(&[]).path(), "image", good, ALLOWED_PIXELS, |folder| ImageHeader::read(folder.join("image")).map(|_| ()));
}

#[test]
fn masks() {
    let root = root(&["images", "masks"]);
    fs::copy(made("images/rgb.png"), root.path().join("images/a.png")).unwrap();
    let good = ["palette.png", "grey.png"].map(|name| fs::read(made("masks").join(name)).unwrap()).to_vec();
    fuzz(root.path(), "masks/a.png", good, ALLOWED_PIXELS, |folder| {
        MaskFolder::open(folder.join("images"), folder.join("masks"), ColorMode::Grey)?.get(0).map(|_| ())
    });
}

#[test]
fn coco_json() {
    let good = br#"{"images": [{"id": 9, "file_name": "b.png"}, {"id": 4, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 4, "category_id": 90, "bbox": [1, 2, 3.5, 2], "area": 5.25, "iscrowd": 0},
        {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 7, 5], "segmentation": [[[[1, 2, 3, 4]]]]}],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car"}]}"#;
    let nested = [&b"{\"images\": "[..], &[b'['; 100_000]].concat();
    let good = vec![good.to_vec(), nested];
    fuzz(root(&[]).path(), "a.json", good, ALLOWED, |folder| {
        coco(folder.join("a.json"), folder, ColorMode::Rgb).map(|_| ())
    });
}

#[test]
fn yolo_text() {
    let root = root(&["images", "labels"]);
    fs::copy(made("images/rgb.png"), root.path().join("images/a.png")).unwrap();
    fs::write(root.path().join("classes.txt"), "cat\ndog\n").unwrap();
    let good = vec![b"1 0.5 0.5 1 1\n0 0.25 0.5 0.1 0.2\n".to_vec()];
    fuzz(root.path(), "labels/a.txt", good, ALLOWED, |folder: &Path| {
        yolo(folder.join("images"), folder.join("labels"), folder.join("classes.txt"), ColorMode::Rgb)?
            .boxes(0)
            .map(|_| ())
    });
}

#[test]
fn voc_xml() {
    let object = "<object><name>dog</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>7</xmax><ymax>5</ymax></bndbox></object>";
    let good = format!("<?xml version=\"1.0\"?>\n<annotation><filename>a.jpg</filename>{object}{object}</annotation>");
    let nested = "<a>".repeat(20_000);
    fuzz(root(&[]).path(), "a.xml", vec![good.into_bytes(), nested.into_bytes()], ALLOWED, |folder| {
        voc(folder, folder, ColorMode::Rgb).map(|_| ())
    });
}

#[test]
fn csv() {
    let good = b"file,tags\na.png,\"cat; dog, small\"\n\"b \"\"c\"\".png\",cat\n".to_vec();
    fuzz(root(&[]).path(), "a.csv", vec![good], ALLOWED, |folder| {
        let columns = TableColumns { path: "file", label: "tags" };
        multi_label_image_table(folder.join("a.csv"), folder, columns, ';', ColorMode::Rgb).map(|_| ())
    });
}
