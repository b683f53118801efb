//! Image files and annotations: Pillow's and torchvision's readings are the oracle.

use crate::files::{folder, made};
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wgrad::data::{
    Array, BoundingBox, ColorMode, DataLoader, DataLoaderOptions, Dataset, Image, ImageBatch, ImageHeader, MaskFolder,
    Npz, SequentialSampler, TableColumns, coco, image_folder, image_table, multi_label_image_table, pad_images, voc,
    yolo,
};
use wgrad::{Error, Result};

const MODES: [(ColorMode, &str); 3] = [(ColorMode::Grey, "L"), (ColorMode::Rgb, "RGB"), (ColorMode::Rgba, "RGBA")];

/// A red image of one format.
fn png() -> Vec<u8> {
    fs::read(made("images/rgb.png")).unwrap()
}

fn refused<T>(result: Result<T>, texts: &[&str]) {
    let error = result.err().unwrap();
    let message = error.to_string();
    assert!(matches!(error, Error::File { .. }), "{message}");
    assert!(texts.iter().all(|text| message.contains(text)), "expected {texts:?} in {message:?}");
}

#[test]
fn files_of_each_format_are_read_as_pillow_does() {
    let mut expected = Npz::open(made("expected.npz")).unwrap();
    let names: Vec<String> =
        fs::read_dir(made("images")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 25);
    for name in names {
        let header = ImageHeader::read(made("images").join(&name)).unwrap();
        for (mode, letters) in MODES {
            let image = Image::open(made("images").join(&name), mode).unwrap();
            assert_eq!(header.size[..], image.shape()[1..], "{name}");
            let expected: Array<u8> = expected.read(&format!("{name}.{letters}")).unwrap().try_into().unwrap();
            assert_eq!(image.shape()[..], *expected.shape(), "{name} as {letters}");
            // Decoders of lossy formats round a few times; the rest are exact.
            let lossy = name.ends_with("jpg") || name == "smooth.webp";
            let allowed = if lossy { 3 } else { 0 };
            let most = image.pixels().iter().zip(expected.values()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!(most <= allowed, "{name} as {letters}: a pixel is {most} off");
        }
    }
}

#[test]
fn headers_tell_channels_and_bits() {
    for (name, channels, has_alpha, bits) in [
        ("grey.png", 1, false, 8),
        ("deep.png", 1, false, 16),
        ("rgb.webp", 3, false, 8),
        ("rgba.png", 4, true, 8),
        ("palette.bmp", 3, false, 8),
        ("smooth_grey.jpg", 1, false, 8),
    ] {
        let header = ImageHeader::read(made("images").join(name)).unwrap();
        assert_eq!((header.channels, header.has_alpha, header.bits), (channels, has_alpha, bits), "{name}");
    }
}

#[test]
fn damaged_images_are_errors_that_name_the_file() {
    let zeros = |width: u32, height: u32| {
        // A header that announces a large image, and hardly any data.
        let mut bytes = png();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        bytes
    };
    for (name, bytes, text) in [
        ("a.png", vec![], "end of file"),
        ("a.png", b"hello, world".to_vec(), "signature"),
        ("a.png", png()[..100].to_vec(), ""),
        ("a.jpg", fs::read(made("images/smooth.jpg")).unwrap()[..100].to_vec(), ""),
        ("a.png", zeros(100_000, 100_000), "announces 30000000000 bytes"),
        ("a.png", zeros(u32::MAX, u32::MAX), ""),
    ] {
        let folder = folder(&[(name, &bytes)]);
        refused(Image::open(folder.path().join(name), ColorMode::Rgb), &[name, text]);
    }
    refused(Image::open("/nowhere/a.png", ColorMode::Rgb), &["/nowhere/a.png"]);
}

#[test]
fn folders_have_the_order_of_torchvision() {
    let image = png();
    let names = [
        "b/2.png",
        "b/10.PNG",
        "b/x/1.jpeg",
        "b/x-y/1.png",
        "b/x/a.png",
        "b/x/s/1.png",
        "B/1.bmp",
        "a b/z.webp",
        "b/readme.txt",
    ];
    let root = folder(&names.map(|name| (name, &image[..])));
    fs::write(root.path().join("notes.png"), &image).unwrap();
    let set = image_folder(root.path(), ColorMode::Rgb).unwrap();
    // As torchvision.datasets.ImageFolder has them: folders in the order of their paths as strings.
    assert_eq!(set.classes(), ["B", "a b", "b"]);
    let relative: Vec<&Path> = set.paths().iter().map(|path| path.strip_prefix(root.path()).unwrap()).collect();
    let expected =
        ["B/1.bmp", "a b/z.webp", "b/10.PNG", "b/2.png", "b/x/1.jpeg", "b/x/a.png", "b/x-y/1.png", "b/x/s/1.png"];
    assert_eq!(relative, expected.map(Path::new));
    assert_eq!(set.targets(), [0, 1, 2, 2, 2, 2, 2, 2]);
    // Recognised by its first bytes: the file that is called .webp is a PNG.
    assert_eq!(set.get(1).unwrap().image.shape(), [3, 5, 7]);

    let empty = folder(&[("a/1.png", &image), ("b/1.txt", b"")]);
    refused(image_folder(empty.path(), ColorMode::Rgb), &["/b", "no images"]);
    refused(image_folder(empty.path().join("a"), ColorMode::Rgb), &["no folders"]);
    refused(image_folder("/nowhere", ColorMode::Rgb), &["/nowhere"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(empty.path().join("a"), empty.path().join("a/loop")).unwrap();
        refused(image_folder(empty.path(), ColorMode::Rgb), &["/a"]);
    }
}

#[test]
fn corrupt_files_are_fatal_or_counted() {
    let image = png();
    let root = folder(&[("a/1.png", &image), ("a/2.png", &image[..60]), ("b/1.png", &image)]);
    let load = |skip_errors| {
        let set = image_folder(root.path(), ColorMode::Grey).unwrap();
        let options = DataLoaderOptions::default().skip_errors(skip_errors);
        DataLoader::new(set, SequentialSampler::new(3), |items| pad_images(items, 0), options).unwrap()
    };
    let error = load(false).epoch(0).unwrap().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("item 1 of the data set") && error.to_string().contains("a/2.png"), "{error}");
    let lenient = load(true);
    let batch: ImageBatch<i32> = lenient.epoch(0).unwrap().next().unwrap().unwrap();
    assert_eq!((batch.targets, batch.images.shape()), (vec![0, 1], &[2, 1, 5, 7][..]));
    assert_eq!(lenient.skipped().len(), 1);
}

#[test]
fn tables_name_images_and_labels() {
    let image = png();
    let table = "\u{feff}id, file ,tags\n1,a.png,\"cat; dog, small\"\n2,\"b \"\"c\"\".png\",cat\n3,a.png,\n\n";
    let root = folder(&[("table.csv", table.as_bytes()), ("images/a.png", &image)]);
    let path = root.path().join("table.csv");
    let columns = TableColumns { path: "file", label: "tags" };
    let set = multi_label_image_table(&path, root.path().join("images"), columns, ';', ColorMode::Rgb).unwrap();
    assert_eq!(set.classes(), ["cat", "dog, small"]);
    assert_eq!(set.targets(), [vec![0, 1], vec![0], vec![]]);
    assert!(set.paths()[1].ends_with("images/b \"c\".png"));
    assert_eq!(set.get(2).unwrap().image.shape(), [3, 5, 7]);
    refused(image_table(&path, "", columns, ColorMode::Rgb), &["table.csv", "line 4", "\"tags\" is empty"]);

    let table = |text: &str, label: &str| {
        let root = folder(&[("table.csv", text.as_bytes())]);
        image_table(root.path().join("table.csv"), "", TableColumns { path: "file", label }, ColorMode::Rgb)
    };
    let set = table("file,label\nx.png,b\ny.png,a\nz.png,b\n", "label").unwrap();
    assert_eq!((set.classes(), set.targets()), (&["a".to_string(), "b".to_string()][..], &[1, 0, 1][..]));
    refused(table("file,label\nx.png,b\n", "breed"), &["table.csv", "no column \"breed\"", "label"]);
    refused(table("file,label\n", "label"), &["no rows"]);
    refused(table("file,label\nx.png\n", "label"), &["table.csv", "line: 2"]);
    refused(table("file,label\n,b\n", "label"), &["line 2", "\"file\" is empty"]);
    refused(table("", "label"), &["no column"]);
}

#[test]
fn masks_hold_the_numbers_of_palettes() {
    let image = png();
    let masks = |mask: &str| -> TempDir {
        folder(&[("images/1.jpg", &image), ("masks/1.png", &fs::read(made("masks").join(mask)).unwrap())])
    };
    let open = |root: &TempDir| {
        MaskFolder::open(root.path().join("images"), root.path().join("masks"), ColorMode::Rgb).unwrap()
    };
    let expected: Array<u8> = Npz::open(made("expected.npz")).unwrap().read("mask").unwrap().try_into().unwrap();
    for (name, scale) in [("palette.png", 1), ("grey.png", 80)] {
        let root = masks(name);
        let sample = open(&root).get(0).unwrap();
        assert_eq!((sample.image.shape(), sample.target.shape()), ([3, 5, 7], [1, 5, 7]));
        let values: Vec<u8> = expected.values().iter().map(|value| value * scale).collect();
        assert_eq!(sample.target.pixels(), values, "{name}");
    }
    let colored = masks("rgb.png");
    refused(open(&colored).get(0), &["masks/1.png", "Rgb with 8 bits"]);
    let turned = masks("grey.png");
    fs::copy(made("images/smooth.jpg"), turned.path().join("images/1.jpg")).unwrap();
    refused(open(&turned).get(0), &["masks/1.png", "[5, 7]", "[12, 16]"]);
    fs::rename(turned.path().join("masks/1.png"), turned.path().join("masks/2.png")).unwrap();
    let open = MaskFolder::open(turned.path().join("images"), turned.path().join("masks"), ColorMode::Rgb);
    refused(open, &["images/1.jpg", "no mask of its name"]);
}

/// Corners and the other fields of a box.
fn found(class: i32, corners: [f32; 4], area: f32, is_ignored: bool) -> BoundingBox {
    BoundingBox { class, corners, area, is_ignored }
}

#[test]
fn coco_annotations_become_boxes() {
    let json = r#"{
        "info": {"year": 2017}, "licenses": [],
        "images": [{"id": 9, "file_name": "b.png", "width": 7, "height": 5}, {"id": 4, "file_name": "a.png"}, {"id": 11, "file_name": "c.png"}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 90, "bbox": [1, 2, 3.5, 2], "area": 5.25, "iscrowd": 0, "segmentation": [[1, 2, 3, 4]]},
            {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 7, 5], "iscrowd": 1},
            {"id": 3, "image_id": 4, "category_id": 3, "bbox": [0, 0, 0, 0], "area": 0}
        ],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car", "supercategory": "vehicle"}]
    }"#;
    let read = |json: &str| {
        let root = folder(&[("instances.json", json.as_bytes())]);
        coco(root.path().join("instances.json"), "images", ColorMode::Rgb)
    };
    let set = read(json).unwrap();
    assert_eq!(set.classes(), ["car", "toothbrush"]);
    assert_eq!(set.paths(), ["images/a.png", "images/b.png", "images/c.png"].map(Path::new));
    let of_a = vec![found(1, [1.0, 2.0, 4.5, 4.0], 5.25, false), found(0, [0.0; 4], 0.0, false)];
    assert_eq!(set.targets(), [of_a, vec![found(0, [0.0, 0.0, 7.0, 5.0], 35.0, true)], vec![]]);
    for (from, to, text) in [
        ("\"image_id\": 9", "\"image_id\": 8", "annotation 1: there is no image 8"),
        ("\"category_id\": 90", "\"category_id\": 91", "annotation 0: there is no category 91"),
        ("[1, 2, 3.5, 2]", "[1, 2, -3.5, 2]", "no edges of a box"),
        ("[1, 2, 3.5, 2]", "[1, 2, 3.5]", "line 5"),
        ("{\"id\": 11", "{\"id\": 9", "two images have the id 9"),
        ("{\"id\": 3, \"name\"", "{\"id\": 90, \"name\"", "two categories have the id 90"),
        ("\"images\"", "\"pictures\"", "missing field `images`"),
    ] {
        refused(read(&json.replace(from, to)), &["instances.json", text]);
    }
}

#[test]
fn yolo_shares_become_pixels() {
    let image = png();
    let root = folder(&[
        ("images/x/a.png", &image),
        ("images/b.v1.png", &image),
        ("labels/x/a.txt", b"1 0.5 0.5 1 1\n\n0 0.25 0.5 0.1 0.2\n"),
        ("classes.txt", b"cat\ndog\n"),
    ]);
    let open = || {
        yolo(root.path().join("images"), root.path().join("labels"), root.path().join("classes.txt"), ColorMode::Rgb)
    };
    let set = open().unwrap();
    assert_eq!(set.classes(), ["cat", "dog"]);
    assert!(set.paths()[0].ends_with("b.v1.png") && set.boxes(0).unwrap().is_empty());
    let boxes = set.boxes(1).unwrap();
    assert_eq!(boxes, set.get(1).unwrap().target);
    assert_eq!(boxes[0], found(1, [0.0, 0.0, 7.0, 5.0], 35.0, false));
    for (got, expected) in boxes[1].corners.iter().zip([1.4, 2.0, 2.1, 3.0]) {
        assert!((got - expected).abs() < 1e-5, "{boxes:?}");
    }
    for (line, text) in [
        ("2 0.5 0.5 1 1", "class \"2\", of 2 classes"),
        ("-1 0.5 0.5 1 1", "class \"-1\""),
        ("0 0.5 0.5 1", "not a class and four numbers"),
        ("0 0.5 0.5 1 1 1", "not a class and four numbers"),
        ("0 0.5 0.5 -1 1", "no edges of a box"),
        ("0 0.5 NaN 1 1", "no edges of a box"),
    ] {
        fs::write(root.path().join("labels/x/a.txt"), format!("\n{line}\n")).unwrap();
        refused(open(), &["labels/x/a.txt", "line 2", text]);
    }
    // Rotated by its orientation.
    let side = folder(&[
        ("i/t.jpg", &fs::read(made("images/turned6.jpg")).unwrap()),
        ("l/t.txt", b"0 .5 .5 1 1"),
        ("c.txt", b"a"),
    ]);
    let set = yolo(side.path().join("i"), side.path().join("l"), side.path().join("c.txt"), ColorMode::Rgb).unwrap();
    assert_eq!(set.boxes(0).unwrap()[0].corners, [0.0, 0.0, 12.0, 16.0]);
    assert_eq!(set.boxes(0).unwrap(), set.get(0).unwrap().target);
}

#[test]
fn voc_annotations_become_boxes() {
    let xml = "<?xml version=\"1.0\"?>\n<annotation><folder>VOC</folder><filename>a.jpg</filename>
        <size><width>7</width><height>5</height></size>
        <object><name>dog</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>7</xmax><ymax>5</ymax></bndbox>
            <part><name>head</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></part></object>
        <object><name>cat</name><bndbox><ymin>2.5</ymin><xmin>2</xmin><xmax>4</xmax><ymax>5</ymax></bndbox></object>
    </annotation>";
    let read = |xml: &str| {
        let root =
            folder(&[("2.xml", xml.as_bytes()), ("1.xml", b"<annotation><filename>b.jpg</filename></annotation>")]);
        voc(root.path(), "images", ColorMode::Rgb)
    };
    let set = read(xml).unwrap();
    assert_eq!(set.classes(), ["cat", "dog"]);
    assert_eq!(set.paths(), ["images/b.jpg", "images/a.jpg"].map(Path::new));
    let dog = found(1, [0.0, 0.0, 7.0, 5.0], 35.0, true);
    assert_eq!(set.targets(), [vec![], vec![dog, found(0, [1.0, 1.5, 4.0, 5.0], 10.5, false)]]);
    for (from, to, text) in [
        ("<filename>a.jpg</filename>", "", "no <filename> in <annotation>"),
        ("<name>cat</name>", "<name> </name>", "<name> in <object> is empty"),
        ("<xmax>4</xmax>", "<xmax>wide</xmax>", "<xmax> of \"cat\" is \"wide\""),
        ("<xmax>4</xmax>", "<xmax>0</xmax>", "\"cat\": [1.0, 1.5, 0.0, 5.0] are no edges"),
        ("annotation>", "notes>", "its root is <notes>"),
        ("</annotation>", "", "2.xml"),
        ("<?xml version=\"1.0\"?>", "<!DOCTYPE a [<!ENTITY b \"c\">]>", "DTD"),
    ] {
        refused(read(&xml.replace(from, to)), &["2.xml", text]);
    }
    refused(voc(made("masks"), "", ColorMode::Rgb), &["no XML files"]);
}
