//! The examples of tasks take a few steps. `make test-long` runs them to their figures.
#![allow(clippy::duplicate_mod, reason = "each example brings what examples share")]

/// Includes examples as modules, whose `main` is not called.
macro_rules! examples {
    ($($name:ident $path:literal)*) => {$(
        #[path = $path]
        #[allow(dead_code, reason = "its main function")]
        mod $name;
    )*};
}

examples! {
    capsules "../../examples/capsules.rs"
    crnn "../../examples/crnn.rs"
    detect "../../examples/detect.rs"
    dqn "../../examples/dqn.rs"
    gan "../../examples/gan.rs"
    robust "../../examples/robust.rs"
    segment "../../examples/segment.rs"
    siamese "../../examples/siamese.rs"
    transfer "../../examples/transfer.rs"
    upscale "../../examples/upscale.rs"
    vae "../../examples/vae.rs"
    video "../../examples/video.rs"
}

#[test]
fn capsules_take_a_few_steps() {
    let accuracy = capsules::run(&capsules::Flags::short(2)).unwrap();
    assert!((0.0..=1.0).contains(&accuracy), "{accuracy}");
}

#[test]
fn a_detector_takes_a_few_steps() {
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path().to_path_buf());
    let precision = detect::run(&detect::Flags { out, ..detect::Flags::short(2) }).unwrap();
    assert!((-1.0..=1.0).contains(&precision), "{precision}");
    assert!(folder.path().join("detect.png").is_file());
}

#[test]
fn a_gan_takes_a_few_steps() {
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path().to_path_buf());
    let confident = gan::run(&gan::Flags { out, ..gan::Flags::short(2) }).unwrap();
    assert!((0.0..=1.0).contains(&confident), "{confident}");
    assert!(folder.path().join("gan.png").is_file());
}

#[test]
fn a_network_over_clips_takes_a_few_steps() {
    for network in [video::Network::Mc3, video::Network::CnnLstm] {
        let accuracy = video::run(network, &video::Flags::short(1)).unwrap();
        assert!((0.0..=1.0).contains(&accuracy), "{accuracy}");
    }
}

#[test]
fn a_reader_takes_a_few_steps() {
    let exact = crnn::run(&crnn::Flags::short(2)).unwrap();
    assert!((0.0..=1.0).contains(&exact), "{exact}");
}

#[test]
fn q_learning_takes_a_few_steps() {
    // A pole stands for at least 8 steps, and at most 500.
    let [mean, _] = dqn::run(dqn::World::CartPole, &dqn::Flags::short(2)).unwrap();
    assert!((8.0..=500.0).contains(&mean), "{mean}");
    let [mean, _] = dqn::run(dqn::World::GridWorld, &dqn::Flags::short(2)).unwrap();
    assert!((-2.0..=0.99).contains(&mean), "{mean}");
}

#[test]
fn networks_are_attacked_and_defended_in_a_few_steps() {
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path().to_path_buf());
    let accuracies = robust::run(&robust::Flags { out, ..robust::Flags::short(2) }).unwrap();
    for accuracy in [accuracies.plain, accuracies.robust, accuracies.certified] {
        assert!((0.0..=1.0).contains(&accuracy), "{accuracies:?}");
    }
    assert!(folder.path().join("robust.png").is_file());
}

#[test]
fn a_segmenter_takes_a_few_steps() {
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path().to_path_buf());
    let mean_iou = segment::run(&segment::Flags { out, ..segment::Flags::short(2) }).unwrap();
    assert!((0.0..=1.0).contains(&mean_iou), "{mean_iou}");
    assert!(folder.path().join("segment.png").is_file());
}

#[test]
fn a_siamese_network_takes_a_few_steps() {
    for kind in [siamese::Kind::BatchHard, siamese::Kind::SemiHard, siamese::Kind::Contrastive] {
        let accuracy = siamese::run(&siamese::Flags::short(2), kind).unwrap();
        assert!((0.0..=1.0).contains(&accuracy), "{accuracy}");
    }
}

#[test]
fn an_upscaler_takes_a_few_steps() {
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path().to_path_buf());
    let gain = upscale::run(&upscale::Flags { out, ..upscale::Flags::short(2) }, 2).unwrap();
    assert!(gain.is_finite(), "{gain}");
    assert!(folder.path().join("upscale.png").is_file());
}

#[test]
fn a_variational_autoencoder_takes_a_few_steps() {
    let folder = tempfile::tempdir().unwrap();
    let out = Some(folder.path().to_path_buf());
    let elbo = vae::run(&vae::Flags { out, ..vae::Flags::short(2) }).unwrap();
    assert!(elbo.is_finite() && elbo < 0.0, "{elbo}");
    assert!(folder.path().join("vae.png").is_file());
}

#[test]
fn a_network_is_transferred_in_a_few_steps() {
    let gain = transfer::run(&transfer::Flags::short(2)).unwrap();
    assert!((-1.0..=1.0).contains(&gain), "{gain}");
}
