//! Reports of runs: the contents of the page, none of which is taken for markup.

use std::path::Path;
use wgrad::data::{Array, Image, Images};
use wgrad::logs::CsvLogger;
use wgrad::metrics::Metric;
use wgrad::nn::{Flatten, Linear, Mode, Scope, Sequential};
use wgrad::optim::{Sgd, SgdOptions};
use wgrad::report::{Answers, ReportWriter, corruption_table};
use wgrad::robust::{Corruption, CorruptionErrors};
use wgrad::train::{Checkpoints, ImageLoader, Supervised, Trainer, TrainerOptions};
use wgrad::{Device, Error, Tensor};

const EVIL: &str = "<script>alert('&')</script>";

/// A run of `epochs` epochs, which resumes from a checkpoint if there is one.
fn run(folder: &Path, epochs: u64, resume: bool) -> String {
    let device = Device::reference();
    device.manual_seed(1);
    let pixels = (0..80).map(|at| if at % 4 < 2 { 20 } else { 200 }).collect();
    // One label in five is wrong, so that there are mistakes.
    let labels = (0..40).map(|item| if item % 5 == 0 { 1 - item % 2 } else { item % 2 }).collect();
    let images =
        Images::new(Array::new(vec![40, 1, 2], pixels).unwrap(), labels, vec!["a".into(), "b".into()]).unwrap();
    let model = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 2, 2)).unwrap();
    let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.5)).unwrap();
    let train = ImageLoader::shuffled(&images, &device, 10, 0).unwrap();
    let test = ImageLoader::in_order(&images, &device, 15).unwrap();
    let answers = Answers::new(vec![EVIL.to_string(), "b & c".to_string()]);
    let mut task = Supervised::classification().metric(answers.clone());
    let report = ReportWriter::new(format!("Run of {EVIL}"))
        .answers(&answers)
        .images(|item| Image::new([1, 3, 500], vec![item as u8; 1500]))
        .figure(EVIL, |model| {
            let evaluates = model.named_modules().iter().all(|(_, layer)| !layer.mode().is_some_and(Mode::is_training));
            let clean = if evaluates { 0.125 } else { 1.0 };
            Ok(corruption_table(
                "Corruptions",
                &CorruptionErrors { clean, rows: vec![(Corruption::Fog, [0.5; 5])], images: 8 },
            ))
        })
        .configuration(vec![("model".to_string(), EVIL.to_string())]);
    let mut trainer = Trainer::new(&device, TrainerOptions::default().epochs(epochs).folder(folder))
        .unwrap()
        .callback(CsvLogger::new())
        .callback(report)
        .callback(Checkpoints::default());
    if resume {
        trainer.resume(&folder.join("last.safetensors"), &model, &mut sgd, &mut task).unwrap();
    }
    trainer.fit(&model, &mut sgd, &mut task, &train, Some(&test)).unwrap();
    std::fs::read_to_string(folder.join("report.html")).unwrap()
}

/// The names of a page's tags in their order; each opened one is closed, the last one first.
fn tags(page: &str) -> Vec<String> {
    let (mut open, mut all): (Vec<String>, Vec<String>) = Default::default();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').unwrap();
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap().to_string();
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_ref(), Some(&name), "in {tag:?}");
            continue;
        }
        all.push(name.clone());
        if ["script", "style"].contains(&name.as_str()) {
            rest = &rest[rest.find(&format!("</{name}>")).unwrap() + name.len() + 3..];
        } else if !tag.ends_with('/') && !["meta", "img", "br"].contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
    all
}

#[test]
fn a_page_is_whole_and_needs_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let page = run(folder.path(), 2, false);
    let tags = tags(&page);
    let count = |name: &str| tags.iter().filter(|tag| *tag == name).count();
    assert_eq!(count("script"), 1, "that which sorts tables");
    // Loss, learning rate, throughput, waiting, single steps, matrix, calibration, ROC, precision and recall, the figure.
    assert_eq!(count("svg"), 10);
    assert!(page.contains(">\n12.5\n<"), "the figure is of the model in evaluation");
    // Eight labels are wrong, and the network learns the others.
    assert_eq!(count("img"), 8);
    for link in ["href", "src=\"h", "src='", "url(", "@import"] {
        assert!(!page.contains(link), "{link}");
    }
    assert!(!page.contains(EVIL) && !page.contains("alert('"));
    for text in ["<p class=\"status\">finished</p>", "b &amp; c taken for &lt;script&gt;", "reference", "command line"]
    {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_resumed_run_shows_the_epochs_before() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 2, false);
    let page = run(folder.path(), 3, true);
    assert!(page.contains("<b>3</b><span>epochs</span>"));
    let loss = &page[page.find("<title>loss</title>").unwrap()..];
    let loss = &loss[..loss.find("</svg>").unwrap()];
    assert_eq!(loss.matches("<circle").count(), 6, "three epochs, training and validation");
}

#[test]
fn an_error_is_on_the_page() {
    use wgrad::train::{Callback, Requests, Run};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    let device = Device::reference();
    let model = Linear::new(&Scope::new(&device), 4, 2).unwrap();
    let mut sgd = Sgd::new(&model, SgdOptions::default()).unwrap();
    let mut requests = Requests::default();
    let mut run = Run::new(&device, &model, &mut sgd, &mut requests);
    let error = Error::invalid("conv2d", "5 < 7");
    ReportWriter::new("Failed").path(&path).on_error(&mut run, &error).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.contains("failed: conv2d: 5 &lt; 7") && page.contains("No epoch has ended yet"));
    tags(&page);
    let without_folder = ReportWriter::new("Failed").on_fit_end(&mut run).unwrap_err();
    assert!(matches!(without_folder, Error::Invalid { op: "report.html", .. }), "{without_folder}");
}

#[test]
fn answers_are_those_of_the_largest_logit() {
    let device = Device::reference();
    let mut answers = Answers::new(vec!["a".into(), "b".into(), "c".into()]);
    let mut other = answers.clone();
    let tensor = |values: &[f32], shape: &[usize]| Tensor::from_slice(&device, values, shape).unwrap();
    let labels = |values: &[i32]| Tensor::from_slice(&device, values, &[values.len()]).unwrap();
    answers.update(&tensor(&[0.0, 2.0, 0.0, 3.0, 0.0, 0.0], &[2, 3]), &labels(&[1, 2])).unwrap();
    other.update(&tensor(&[0.0, 0.0, 1.0], &[1, 3]), &labels(&[0])).unwrap();
    let read = answers.read().unwrap();
    let classes: Vec<_> = read.iter().map(|answer| (answer.item, answer.truth, answer.prediction)).collect();
    assert_eq!(classes, [(0, 1, 1), (1, 2, 0), (2, 0, 2)]);
    for (answer, logit) in read.iter().zip([2.0f64, 3.0, 1.0]) {
        assert!((answer.confidence - logit.exp() / (logit.exp() + 2.0)).abs() < 1e-6, "{answer:?}");
    }
    let mistakes: Vec<usize> = answers.mistakes(1).unwrap().iter().map(|answer| answer.item).collect();
    assert_eq!(mistakes, [1]);
    assert!(answers.compute().unwrap().is_empty());
    for (preds, target) in [(tensor(&[0.0; 4], &[2, 2]), labels(&[0, 1])), (tensor(&[0.0; 6], &[2, 3]), labels(&[0]))] {
        assert!(matches!(answers.update(&preds, &target), Err(Error::Invalid { op: "Answers", .. })));
    }
    other.reset().unwrap();
    assert!(answers.read().unwrap().is_empty());
}
