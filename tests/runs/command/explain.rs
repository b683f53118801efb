//! `wgrad explain`: maps as files, a page of them, and questions that can't be answered.

use super::{json, pictures, run, text, wgrad};
use std::fs;
use std::path::{Path, PathBuf};
use wgrad::Device;
use wgrad::models::{self, ModelOptions};
use wgrad::nn::Scope;
use wgrad::weights::{self, Metadata, SaveOptions};

/// An untrained LeNet for the pictures.
fn network(folder: &Path) -> PathBuf {
    let device = Device::reference();
    device.manual_seed(4);
    let options = ModelOptions::default().classes(2).size(12);
    let model = models::by_name("lenet5", &Scope::new(&device), &options).unwrap();
    let about = Metadata::new("lenet5", options).with_classes(["bars", "lines"]);
    let path = folder.join("net.safetensors");
    weights::save(&path, &*model, &SaveOptions::default().metadata(about)).unwrap();
    path
}

#[test]
fn maps_are_drawn_beside_the_network_and_in_a_page() {
    let (folder, data) = (tempfile::tempdir().unwrap(), pictures());
    let net = network(folder.path());
    let [bars, lines] = ["bars", "lines"].map(|class| data.path().join(class).join("1.png"));
    let explain = || wgrad(["explain", text(&net), text(&bars), text(&lines), "--reference"]);
    let told = json(explain().args(["--class", "lines"]));
    // The last layer with maps; two pictures with one name get separate files.
    assert_eq!(told["layer"], "conv2");
    let out = folder.path().join("explain");
    let files = ["1.png", "1-2.png"].map(|name| out.join(name));
    for (picture, file) in told["pictures"].as_array().unwrap().iter().zip(&files) {
        assert_eq!((picture["maps"].as_str(), picture["answer"]["class"].as_str()), (file.to_str(), Some("lines")));
        let probability = picture["answer"]["probability"].as_f64().unwrap();
        assert!(probability > 0.0 && probability < 1.0);
    }
    let drawn = files.each_ref().map(|file| fs::read(file).unwrap());
    assert_ne!(drawn[0], drawn[1]);
    assert!(image::load_from_memory(&drawn[0]).unwrap().width() > 800);
    let page = fs::read_to_string(told["page"].as_str().unwrap()).unwrap();
    assert_eq!(page.matches("data:image/png;base64,").count(), 4, "a picture and a map for each file");
    assert!(page.contains("grad-cam") && page.contains("conv2") && page.contains(text(&bars)), "{page}");
    // Another layer, colours and class give other maps; the same call gives the same ones.
    json(explain().args(["--class", "1"]));
    assert!(fs::read(&files[0]).unwrap() == drawn[0], "a class's number is as good as its name");
    for other in [["--layer", "conv1"], ["--colours", "jet"], ["--method", "saliency"], ["--class", "bars"]] {
        json(explain().args(other));
        assert!(fs::read(&files[0]).unwrap() != drawn[0], "{other:?}");
    }
}

#[test]
fn a_sheet_has_every_method_that_the_network_allows() {
    let (folder, data) = (tempfile::tempdir().unwrap(), pictures());
    let (net, out) = (network(folder.path()), folder.path().join("sheet"));
    let picture = data.path().join("bars/3.png");
    let mut command = wgrad(["explain", text(&net), text(&picture), "--reference", "--method", "all"]);
    let (code, stdout, stderr) = run(command.args(["--samples", "8", "--superpixels", "4", "--out", text(&out)]));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("3.png") && stdout.contains(" %"), "{stdout}");
    assert!(stderr.contains("no cam: ") && stderr.contains("grad-cam"), "{stderr}");
    let help = run(&mut wgrad(["explain", "--help"])).1;
    let listed = help.split("[possible values: ").nth(1).unwrap().split(']').next().unwrap();
    let methods: Vec<&str> = listed.split(',').map(str::trim).filter(|name| !["all", "cam"].contains(name)).collect();
    assert!(methods.len() > 20, "{methods:?}");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    for method in methods {
        assert!(page.contains(&format!(">\n{method}\n<")), "{method}");
    }
}

#[test]
fn errors_tell_what_there_is() {
    let (folder, data) = (tempfile::tempdir().unwrap(), pictures());
    let net = network(folder.path());
    let picture = data.path().join("bars/1.png");
    for (arguments, code, texts) in [
        (["--layer", "layer4"], 1, ["no layer \"layer4\" with maps", "it has conv1, "]),
        (["--layer", "fc1"], 1, ["no layer \"fc1\" with maps", "conv2"]),
        (["--class", "dog"], 1, ["no class \"dog\"", "it knows bars, lines"]),
        (["--class", "2"], 1, ["no class \"2\"", "it knows bars, lines"]),
        (["--method", "cma"], 2, ["possible values: all, saliency", "grad-cam++"]),
        (["--method", "cam"], 1, ["channels of this layer", "see grad-cam"]),
    ] {
        let (got, stdout, stderr) = run(wgrad(["explain", text(&net), text(&picture), "--reference"]).args(arguments));
        assert_eq!((got, stdout.as_str()), (Some(code), ""), "{arguments:?}: {stderr}");
        assert!(texts.iter().all(|text| stderr.contains(text)), "{arguments:?}: {stderr}");
    }
    // A file that is not a picture does not keep others from being explained.
    let other = folder.path().join("notes.txt");
    fs::write(&other, "no picture").unwrap();
    let (code, stdout, stderr) = run(&mut wgrad([
        "explain",
        text(&net),
        text(&other),
        text(&picture),
        "--reference",
        "--out",
        text(folder.path()),
    ]));
    assert_eq!(code, Some(1));
    assert!(stdout.contains("1.png") && stderr.contains("1 of 2 files can't be read"), "{stdout}{stderr}");
    assert!(folder.path().join("1.png").is_file());
}
