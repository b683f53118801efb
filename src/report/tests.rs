//! Every chart, with long, many and odd names: texts are legible, and files well-formed.

use super::drawing::{Anchor, Shape};
use super::{
    Answers, BarChart, Drawing, HeatMapChart, LineChart, MatrixChart, corruption_table, font, histogram, lr_curve,
    precision_recall, reliability, roc,
};
use crate::data::Image;
use crate::explain::{ColourMap, HeatMap, HeatMapOptions, Sign};
use crate::graph::{Device, Tensor};
use crate::logs::Histogram;
use crate::metrics::Metric;
use crate::robust::{Corruption, CorruptionErrors};
use crate::train::LrCurve;

const ODD: &str = "<script>alert(\"&\u{7}\")</script>";

fn names(count: usize) -> Vec<String> {
    let name = |index: usize| match index % 5 {
        1 => format!("a class whose name is longer than any room there is for it {index}"),
        2 => format!("{ODD}{index}"),
        3 => format!("名前{index}"),
        _ => format!("class {index}"),
    };
    (0..count).map(name).collect()
}

fn matrix(count: usize, largest: f64) -> Drawing {
    let number = |at: usize| if at.is_multiple_of(count + 1) { largest } else { (at * 7 % 11) as f64 };
    let counts: Vec<f64> = (0..count * count).map(number).collect();
    MatrixChart::new("Confusion matrix of a set with a name that takes two lines", &names(count), &counts)
        .unwrap()
        .draw()
}

fn curves(count: usize, log: bool) -> Drawing {
    let chart = names(count).iter().enumerate().fold(LineChart::new(ODD, "epoch", "loss"), |chart, (index, name)| {
        chart.series(name, (1..=300).map(|x| (x.into(), (index as f64 + 1.0) / f64::from(x))).collect())
    });
    if log { chart.log_y().log_x().draw() } else { chart.mark("here", 290.0).draw() }
}

/// A picture of any size, with maps of small, large, negative, signed and no numbers.
fn maps(shape: [usize; 3], scale: f64) -> Drawing {
    let device = Device::reference();
    let picture = Image::new(shape, (0..shape.iter().product()).map(|at: usize| (at % 251) as u8).collect()).unwrap();
    let attributions = (Tensor::randn(&device, &[1, 2, 4, 5]).unwrap() * scale).unwrap();
    let signs = [Sign::Absolute, Sign::Positive, Sign::Negative, Sign::Both];
    let chart = names(4).iter().zip(signs).fold(HeatMapChart::new(ODD, &picture), |chart, (name, sign)| {
        let options = HeatMapOptions::default().sign(sign);
        chart.map(name, &HeatMap::read(&attributions, &options).unwrap()[0])
    });
    let zeros = HeatMap::read(&attributions.zeros_like().unwrap(), &HeatMapOptions::default()).unwrap();
    chart.map("nothing", &zeros[0]).draw()
}

/// ROC and precision-recall curves of logits `[N, C]`.
fn ranking(names: Vec<String>, logits: &Tensor, truths: &[i32]) -> Vec<Drawing> {
    let mut answers = Answers::new(names);
    let truths = Tensor::from_slice(logits.device(), truths, &[truths.len()]).unwrap();
    answers.update(logits, &truths).unwrap();
    answers.curves().unwrap()
}

fn all() -> Vec<Drawing> {
    let device = Device::reference();
    let weights = Tensor::randn(&device, &[1000]).unwrap();
    let bars = |range: bool| {
        let bar = |chart: BarChart, (at, name): (usize, &String)| chart.bar(name, 1.0 - at as f64 / 9.0);
        let chart = names(20).iter().enumerate().fold(BarChart::new("Recall", "recall"), bar);
        if range { chart.range(0.0, 1.0).draw() } else { chart.draw() }
    };
    let lrs: Vec<f64> = (0..100).map(|step| 1e-7 * 1.2f64.powi(step)).collect();
    let losses: Vec<f64> = lrs.iter().map(|lr| 2.0 / (1.0 + 100.0 * lr) + lr * lr).collect();
    let curve = vec![(ODD.to_string(), vec![(0.0, 0.0), (0.5, 0.9), (1.0, 1.0)])];
    let mut drawings: Vec<Drawing> =
        [(1, 7.0), (2, 7e9), (3, 12.0), (10, 980.0), (30, 980.0), (41, 12_345.0), (100, 50.0)]
            .map(|(count, largest)| matrix(count, largest))
            .into();
    let truths: Vec<i32> = (0..64).map(|item| item % 9).collect();
    drawings.extend(ranking(names(9), &Tensor::randn(&device, &[64, 9]).unwrap(), &truths));
    drawings.extend([curves(1, false), curves(9, true), bars(true), bars(false)]);
    drawings.extend([
        LineChart::new("", "", "").draw(),
        LineChart::new("One", "epoch", "loss").series("one", vec![(1.0, 0.5)]).draw(),
        LineChart::new("Small", "epoch", "loss").series("gap", vec![(1.0, f64::NAN), (2.0, 1e-9)]).draw(),
        LineChart::new("Large", "step", "loss").series("x", vec![(0.0, 1e300), (1e7, -1e300)]).draw(),
        LineChart::new("Narrow", "step", "loss").size(0.0, 0.0).series("x", vec![(0.0, 1.0), (1e6, 2.0)]).draw(),
        corruption_table(
            ODD,
            &CorruptionErrors { clean: 0.0, rows: Corruption::ALL.map(|c| (c, [1.0; 5])).into(), images: 9 },
        ),
        roc(ODD, &curve),
        precision_recall("Precision and recall", &curve),
        reliability("Calibration", &[(0.25, 0.5), (0.95, 0.9)]),
        lr_curve(&LrCurve { lrs, smoothed: losses.clone(), losses, diverged: true }),
        maps([1, 28, 28], 1e-9),
        maps([3, 40, 3], 1.0),
        maps([4, 2, 300], 1e6),
        maps([2, 1, 1], 30.0),
        histogram("weights", ODD, &Histogram::of(&weights, 30).unwrap()),
        histogram("one value", "weight", &Histogram::of(&weights.zeros_like().unwrap(), 30).unwrap()),
    ]);
    drawings
}

/// The left, upper, right and lower end of a text's letters.
fn extent(shape: &Shape) -> Option<(&str, [f64; 4])> {
    let Shape::Text { text, at: (x, y), size, anchor, upright, .. } = shape else { return None };
    let width = font::width(text, *size);
    let before = match anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => width / 2.0,
        Anchor::End => width,
    };
    // Small letters reach from a quarter of the size above the middle line to a quarter below it; tall ones somewhat further.
    let half = size * 0.4;
    Some((
        text,
        match upright {
            true => [x - half, y - (width - before), x + half, y + before],
            false => [x - before, y - half, x - before + width, y + half],
        },
    ))
}

#[test]
fn texts_are_within_the_picture_and_apart() {
    for drawing in all() {
        let texts: Vec<_> = drawing.shapes.iter().filter_map(extent).filter(|(text, _)| !text.is_empty()).collect();
        for (index, (text, [left, top, right, bottom])) in texts.iter().enumerate() {
            let inside = *left >= 0.0 && *top >= 0.0 && *right <= drawing.width() && *bottom <= drawing.height();
            assert!(inside, "{text:?} at {left} {top} {right} {bottom} of {} x {}", drawing.width(), drawing.height());
            for (other, ends) in &texts[index + 1..] {
                let apart = *left >= ends[2] || ends[0] >= *right || *top >= ends[3] || ends[1] >= *bottom;
                assert!(apart, "{text:?} and {other:?} overlap in {:?}", drawing.svg().unwrap().lines().nth(1));
            }
        }
    }
}

#[test]
fn pictures_are_whole_files() {
    for drawing in all() {
        let svg = drawing.svg().unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        assert!(document.descendants().all(|node| node.tag_name().name() != "script"));
        // Large drawings take long.
        if drawing.width() < 800.0 {
            let png = image::load_from_memory(&drawing.png(1.0).unwrap()).unwrap();
            assert_eq!((f64::from(png.width()), f64::from(png.height())), (drawing.width(), drawing.height()));
        }
    }
}

#[test]
fn pixels_are_where_the_shapes_are() {
    use super::colour::Colour;
    let mut drawing = Drawing::new("test", 40.0, 30.0);
    drawing.rect((4.0, 5.0), (10.0, 8.0), Colour::series(0));
    drawing.line(vec![(20.0, 2.0), (20.0, 28.0)], 2.0, Colour::series(1));
    drawing.text("l", (33.0, 15.0), 20.0, Anchor::Middle, Colour::INK);
    let png = image::load_from_memory(&drawing.png(2.0).unwrap()).unwrap().to_rgb8();
    assert_eq!(png.dimensions(), (80, 60));
    let pixel = |x: f64, y: f64| png.get_pixel((x * 2.0) as u32, (y * 2.0) as u32).0;
    assert_eq!([pixel(4.5, 5.5), pixel(9.5, 7.5)], [Colour::series(0).0; 2]);
    assert_eq!([pixel(3.0, 5.5), pixel(11.5, 7.0), pixel(30.0, 1.0)], [Colour::PAPER.0; 3]);
    assert_eq!([pixel(20.0, 3.0), pixel(19.5, 27.0)], [Colour::series(1).0; 2]);
    // The only stroke of an l: from the top of tall letters to the base line, below the middle.
    let dark: Vec<u32> = (0..60).filter(|&y| (60..72).any(|x| png.get_pixel(x, y).0[0] < 100)).collect();
    let (top, bottom) = (f64::from(dark[0]) / 2.0, f64::from(dark[dark.len() - 1] + 1) / 2.0);
    assert!(
        (top - (15.0 + 20.0 * (0.27 - 0.76))).abs() < 1.0 && (bottom - (15.0 + 20.0 * 0.27)).abs() < 1.0,
        "{top} {bottom}"
    );
}

#[test]
fn maps_are_painted_over_the_grey_of_their_picture() {
    let device = Device::reference();
    let picture = Image::new([3, 1, 2], vec![255, 0, 0, 0, 0, 255]).unwrap();
    let attributions = Tensor::from_slice(&device, &[0.0f32, 4.0], &[1, 1, 1, 2]).unwrap();
    let map = &HeatMap::read(&attributions, &HeatMapOptions::default().outliers(0.0)).unwrap()[0];
    let chart = HeatMapChart::new("t", &picture).map("m", map).colours(ColourMap::Jet).opacity(0.5);
    let png = image::load_from_memory(&chart.draw().png(1.0).unwrap()).unwrap().to_rgb8();
    // A title of a line, a name, then pixels of 112 x 112.
    let pixel = |panel: u32, at: u32| png.get_pixel(14 + panel * (224 + 28) + 112 * at + 56, 35 + 22 + 50).0;
    assert_eq!([pixel(0, 0), pixel(0, 1)], [[255, 0, 0], [0, 0, 255]]);
    // Greys of red and blue are 76 and 29; jet goes from half blue to half red.
    assert_eq!([pixel(1, 0), pixel(1, 1)], [[38, 38, 102], [78, 15, 15]]);
}

/// The areas by hand: three of six pairs are in order for either class.
#[test]
fn curves_by_class_tell_their_areas() {
    let device = Device::reference();
    let shares = [0.1f64, 0.4, 0.35, 0.8, 0.9];
    let logits = |absent: Option<f32>| {
        let row = |share: &f64| [0.0, (share / (1.0 - share)).ln() as f32].into_iter().chain(absent);
        let values: Vec<f32> = shares.iter().flat_map(row).collect();
        Tensor::from_slice(&device, &values, &[5, values.len() / 5]).unwrap()
    };
    let texts = |drawing: &Drawing| -> Vec<String> {
        drawing.shapes.iter().filter_map(extent).map(|(text, _)| text.to_string()).collect()
    };
    let truths = [0, 0, 1, 1, 0];
    let two = ranking(vec!["cat".into(), "dog".into()], &logits(None), &truths);
    for (drawing, legend) in two.iter().zip([
        ["cat 0.5", "dog 0.5", "mean of all 0.5"],
        // (1 + 2/3 + 3/5) / 3, (1/2 + 2/4) / 2, and between them.
        ["cat 0.7556", "dog 0.5", "mean of all 0.6278"],
    ]) {
        let texts = texts(drawing);
        assert!(legend.iter().all(|name| texts.iter().any(|text| text == name)), "{legend:?} {texts:?}");
    }
    // A class that no item is of has no curve, so there is no mean of all.
    let three = ranking(vec!["cat".into(), "dog".into(), "cow".into()], &logits(Some(-20.0)), &truths);
    for drawing in &three {
        let texts = texts(drawing).concat();
        assert!(texts.contains("cat 0.") && !texts.contains("cow") && !texts.contains("mean"), "{texts}");
    }
}

#[test]
fn sizes_without_pixels_and_other_files_are_refused() {
    let drawing = LineChart::new("Loss", "epoch", "loss").draw();
    for scale in [0.0, -1.0, f64::NAN, 1e9] {
        assert!(drawing.png(scale).is_err(), "{scale}");
    }
    assert!(drawing.save(std::path::Path::new("loss.jpeg")).unwrap_err().to_string().contains(".svg or .png"));
    assert!(MatrixChart::new("", &[], &[]).is_err() && MatrixChart::new("", &names(2), &[1.0; 3]).is_err());
}
