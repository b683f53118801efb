//! CIFAR-10 and CIFAR-100: 32 x 32 colour photographs, in the binary version of their files.

use super::{Array, Images, file};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

const SHAPE: [usize; 3] = [3, 32, 32];

const CLASSES_10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

const COARSE: &str = "aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices \
    household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes \
    large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 \
    vehicles_2";

const FINE: &str = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel \
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant \
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree \
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy \
    porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel \
    streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale \
    willow_tree wolf woman worm";

/// CIFAR-10: photographs of ten classes (Krizhevsky, "Learning multiple layers of features from tiny images", 2009).
#[derive(Clone, Debug)]
pub struct Cifar10 {
    /// 50,000 images in the original.
    pub train: Images,
    /// 10,000 images in the original.
    pub test: Images,
}

impl Cifar10 {
    /// Reads `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` from a folder, `cifar-10-batches-bin` as it is
    /// unpacked.
    ///
    /// # Errors
    /// [`Error::File`], naming the file, if one is missing, is empty or ends within an image, or a label is above 9.
    ///
    /// ```no_run
    /// # use wgrad::data::Cifar10;
    /// let cifar = Cifar10::open("cifar-10-batches-bin")?;
    /// assert_eq!((cifar.train.len(), cifar.train.image_shape()), (50_000, [3, 32, 32]));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn open(folder: impl AsRef<Path>) -> Result<Cifar10> {
        let folder = folder.as_ref();
        let batches: Vec<PathBuf> = (1..=5).map(|batch| folder.join(format!("data_batch_{batch}.bin"))).collect();
        let classes = CLASSES_10.map(String::from);
        let train = read(&batches, 1, 0, &classes)?;
        let test = read(&[folder.join("test_batch.bin")], 1, 0, &classes)?.with_normalization(train.normalization())?;
        Ok(Cifar10 { train, test })
    }
}

/// The labels of CIFAR-100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cifar100Labels {
    /// The 100 classes.
    Fine,
    /// The 20 superclasses, of five classes each.
    Coarse,
}

/// CIFAR-100: photographs of 100 classes (Krizhevsky, 2009).
#[derive(Clone, Debug)]
pub struct Cifar100 {
    /// 50,000 images in the original.
    pub train: Images,
    /// 10,000 images in the original.
    pub test: Images,
}

impl Cifar100 {
    /// Reads `train.bin` and `test.bin` from a folder, `cifar-100-binary` as it is unpacked.
    ///
    /// # Errors
    /// As [`Cifar10::open`], for labels above 99 or 19.
    pub fn open(folder: impl AsRef<Path>, labels: Cifar100Labels) -> Result<Cifar100> {
        let folder = folder.as_ref();
        let (names, label) = match labels {
            Cifar100Labels::Coarse => (COARSE, 0),
            Cifar100Labels::Fine => (FINE, 1),
        };
        let classes: Vec<String> = names.split_whitespace().map(String::from).collect();
        let train = read(&[folder.join("train.bin")], 2, label, &classes)?;
        let test = read(&[folder.join("test.bin")], 2, label, &classes)?.with_normalization(train.normalization())?;
        Ok(Cifar100 { train, test })
    }
}

/// Files of records: some bytes of labels, the one at `label` being the class, then the pixels of an image.
fn read(paths: &[PathBuf], labels: usize, label: usize, classes: &[String]) -> Result<Images> {
    let record = labels + SHAPE.iter().product::<usize>();
    let (mut pixels, mut numbers) = (Vec::new(), Vec::new());
    for path in paths {
        let bytes = file::read(path)?;
        if bytes.is_empty() || bytes.len() % record != 0 {
            let reason = format!("{} bytes are no whole number of images, which take {record} each", bytes.len());
            return Err(Error::file(path, reason));
        }
        for (at, record) in bytes.chunks_exact(record).enumerate() {
            if usize::from(record[label]) >= classes.len() {
                let reason = format!("label {at} is {}; expected 0 to {}", record[label], classes.len() - 1);
                return Err(Error::file(path, reason));
            }
            numbers.push(i32::from(record[label]));
            pixels.extend(&record[labels..]);
        }
    }
    let [channels, height, width] = SHAPE;
    Images::new(Array::new(vec![numbers.len(), channels, height, width], pixels)?, numbers, classes.to_vec())
}
