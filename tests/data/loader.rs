//! Loading by threads: the same batches for any number of threads, errors and panics that surface, ends and resumptions.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wgrad::data::{
    Array, DataLoader, DataLoaderIter, DataLoaderOptions, Dataset, Image, RandomSampler, Sample, SequentialSampler,
    pad_arrays, pad_images, stack_arrays, stack_images, stack_masks,
};
use wgrad::{Error, Result};

/// The numbers below `count`, some of them late, some errors and some panics.
struct Numbers {
    count: usize,
    fetched: AtomicUsize,
    faults: fn(usize) -> Fault,
}

enum Fault {
    None,
    Late,
    Error,
    Panic,
}

impl Numbers {
    fn new(count: usize, faults: fn(usize) -> Fault) -> Arc<Numbers> {
        Arc::new(Numbers { count, fetched: AtomicUsize::new(0), faults })
    }
}

impl Dataset for Numbers {
    type Item = usize;

    fn len(&self) -> usize {
        self.count
    }

    fn get(&self, index: usize) -> Result<usize> {
        self.fetched.fetch_add(1, Ordering::SeqCst);
        match (self.faults)(index) {
            Fault::None => Ok(index),
            Fault::Late => {
                std::thread::sleep(Duration::from_millis(2));
                Ok(index)
            }
            Fault::Error => Err(Error::File { path: format!("{index}.png").into(), reason: "not read".to_string() }),
            // A panic without the message that a hook prints.
            Fault::Panic => panic::resume_unwind(Box::new(format!("number {index}"))),
        }
    }
}

type Loader = DataLoader<Arc<Numbers>, fn(Vec<usize>) -> Result<Vec<usize>>>;

/// Batches of 4.
fn loader(set: &Arc<Numbers>, options: DataLoaderOptions) -> Loader {
    let sampler = RandomSampler::new(set.count, 3);
    DataLoader::new(set.clone(), sampler, Ok as fn(_) -> _, options.batch_size(4)).unwrap()
}

fn all(batches: DataLoaderIter<Vec<usize>>) -> Vec<Vec<usize>> {
    batches.map(Result::unwrap).collect()
}

#[test]
fn any_number_of_threads_makes_the_same_batches() {
    let set = Numbers::new(30, |index| if index % 3 == 0 { Fault::Late } else { Fault::None });
    let batches =
        |workers, epoch| all(loader(&set, DataLoaderOptions::default().workers(workers)).epoch(epoch).unwrap());
    let expected = batches(0, 0);
    assert_eq!(expected.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 4, 4, 4, 4, 4, 2]);
    let mut numbers = expected.concat();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    for workers in [1, 2, 5] {
        assert_eq!(batches(workers, 0), expected);
        assert_eq!(batches(workers, 1), batches(0, 1));
    }
    assert_ne!(batches(2, 1), expected);
    let whole = loader(&set, DataLoaderOptions::default().drop_last(true));
    assert_eq!((whole.batches(), all(whole.epoch(0).unwrap())), (7, expected[..7].to_vec()));
}

#[test]
fn an_epoch_goes_on_where_it_was_left() {
    let set = Numbers::new(30, |_| Fault::None);
    let loader = loader(&set, DataLoaderOptions::default());
    let expected = all(loader.epoch(2).unwrap());
    let mut first = loader.epoch(2).unwrap();
    assert_eq!((first.len(), first.position()), (8, 0));
    assert_eq!([first.next().unwrap().unwrap(), first.next().unwrap().unwrap()], expected[..2]);
    assert_eq!((first.len(), first.position()), (6, 2));
    let at = first.position();
    drop(first);
    set.fetched.store(0, Ordering::SeqCst);
    assert_eq!(all(loader.resume(2, at).unwrap()), expected[2..]);
    assert_eq!(set.fetched.load(Ordering::SeqCst), 22);
    assert_eq!(all(loader.resume(2, 8).unwrap()).len(), 0);
    assert!(loader.resume(2, 9).is_err());
}

#[test]
fn threads_run_ahead_no_farther_than_asked() {
    let set = Numbers::new(400, |_| Fault::None);
    let mut batches = loader(&set, DataLoaderOptions::default().workers(2).prefetch(3)).epoch(0).unwrap();
    batches.next().unwrap().unwrap();
    // One batch was taken, and six are prefetched.
    let wait = Instant::now();
    while set.fetched.load(Ordering::SeqCst) < 28 && wait.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(set.fetched.load(Ordering::SeqCst), 28);
}

#[test]
fn what_goes_wrong_in_a_thread_names_the_item_and_ends_the_epoch() {
    let check = |faults: fn(usize) -> Fault, text: &str| {
        for workers in [0, 1, 3] {
            let set = Numbers::new(40, faults);
            let mut batches = loader(&set, DataLoaderOptions::default().workers(workers)).epoch(0).unwrap();
            let error = batches.find_map(Result::err).unwrap();
            assert!(matches!(error, Error::Item { index: 17, .. }), "{error}");
            assert!(error.to_string().contains(text), "{error}");
            assert!(batches.next().is_none() && batches.len() == 0);
            drop(batches);
            assert_eq!(Arc::strong_count(&set), 1);
        }
    };
    check(|index| if index == 17 { Fault::Error } else { Fault::None }, "item 17 of the data set: 17.png: not read");
    check(|index| if index == 17 { Fault::Panic } else { Fault::None }, "panicked: number 17");

    let set = Numbers::new(8, |_| Fault::None);
    let collate =
        |items: Vec<usize>| -> Result<usize> { panic::resume_unwind(Box::new(format!("{} items", items.len()))) };
    for workers in [0, 2] {
        let options = DataLoaderOptions::default().workers(workers);
        let loader = DataLoader::new(set.clone(), SequentialSampler::new(8), collate, options).unwrap();
        let error = loader.epoch(0).unwrap().next().unwrap().unwrap_err().to_string();
        assert!(error.contains("panicked: 8 items"), "{error}");
    }
    // A sampler for another set.
    let loader = DataLoader::new(set, SequentialSampler::new(9), Ok, DataLoaderOptions::default()).unwrap();
    let error = loader.epoch(0).unwrap().find_map(Result::err).unwrap();
    assert!(matches!(error, Error::IndexOutOfRange { index: 8, size: 8, .. }), "{error}");
}

#[test]
fn items_that_are_errors_are_left_out_where_that_is_asked_for() {
    let set = Numbers::new(30, |index| if index % 7 == 0 { Fault::Error } else { Fault::None });
    let lenient = loader(&set, DataLoaderOptions::default().skip_errors(true));
    for epoch in 0..2 {
        let mut numbers = all(lenient.epoch(epoch).unwrap()).concat();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..30).filter(|number| number % 7 != 0).collect::<Vec<_>>());
        let skipped = lenient.skipped();
        assert_eq!(skipped.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 7, 14, 21, 28]);
        assert!(skipped[1].1.to_string().contains("7.png"));
    }
    let set = Numbers::new(8, |_| Fault::Error);
    let error = loader(&set, DataLoaderOptions::default().skip_errors(true)).epoch(0).unwrap().next().unwrap();
    assert!(error.unwrap_err().to_string().contains("none of the items"));
}

#[test]
fn an_iterator_that_is_dropped_ends_its_threads() {
    let set = Numbers::new(400, |_| Fault::Late);
    for taken in [0, 1] {
        let mut batches = loader(&set, DataLoaderOptions::default().workers(3)).epoch(0).unwrap();
        for _ in 0..taken {
            batches.next().unwrap().unwrap();
        }
        drop(batches);
        // Each thread held the set.
        assert_eq!(Arc::strong_count(&set), 1);
    }
    assert!(set.fetched.load(Ordering::SeqCst) < 200);
}

#[test]
fn the_share_of_time_spent_waiting_is_measured() {
    let slow = loader(&Numbers::new(40, |_| Fault::Late), DataLoaderOptions::default().workers(1));
    all(slow.epoch(0).unwrap());
    assert!(slow.times().wait_share() > 0.9, "{:?}", slow.times());
    assert!(slow.times().elapsed >= Duration::from_millis(80));

    let fast = loader(&Numbers::new(40, |_| Fault::None), DataLoaderOptions::default().workers(1));
    for batch in fast.epoch(0).unwrap() {
        batch.unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(fast.times().wait_share() < 0.5, "{:?}", fast.times());
    assert!(fast.times().elapsed >= Duration::from_millis(100));
}

#[test]
fn a_batch_needs_items() {
    let options = DataLoaderOptions::default().batch_size(0);
    let refused = DataLoader::new(vec![1, 2], SequentialSampler::new(2), Ok, options).err().unwrap();
    assert!(refused.to_string().contains("batch size is 0"), "{refused}");
}

#[test]
fn items_are_stacked_and_padded() {
    let array = |shape: &[usize], start: i32| {
        Array::new(shape.to_vec(), (start..).take(shape.iter().product()).collect()).unwrap()
    };
    let (a, b) = (array(&[2, 1, 2], 0), array(&[1, 2, 3], 10));
    let stacked = stack_arrays(vec![a.clone(), a.clone()]).unwrap();
    assert_eq!((stacked.shape(), stacked.values()), (&[2, 2, 1, 2][..], &[0, 1, 2, 3, 0, 1, 2, 3][..]));
    let padded = pad_arrays(vec![a.clone(), b.clone()], -1).unwrap();
    assert_eq!(padded.shape(), [2, 2, 2, 3]);
    let first = [0, 1, -1, -1, -1, -1, 2, 3, -1, -1, -1, -1];
    assert_eq!(padded.values(), [first, [10, 11, 12, 13, 14, 15, -1, -1, -1, -1, -1, -1]].concat());
    let numbers = pad_arrays(vec![array(&[], 4), array(&[], 5)], 0).unwrap();
    assert_eq!((numbers.shape(), numbers.values()), (&[2][..], &[4, 5][..]));

    let sample =
        |shape: [usize; 3]| Sample { image: Image::new(shape, vec![9; shape.iter().product()]).unwrap(), target: 1 };
    let refusals = [
        (stack_arrays(vec![a.clone(), b]).map(|_| ()), "pad_arrays takes several sizes"),
        (stack_arrays::<i32>(vec![]).map(|_| ()), "no arrays"),
        (pad_arrays(vec![a, array(&[2], 0)], 0).map(|_| ()), "differ in dimensions"),
        (pad_arrays::<i32>(vec![], 0).map(|_| ()), "no items"),
        (stack_images(vec![sample([1, 2, 2]), sample([1, 2, 3])]).map(|_| ()), "pad_images takes several sizes"),
        (pad_images(vec![sample([1, 2, 2]), sample([3, 2, 2])], 0).map(|_| ()), "1 and of 3 channels"),
        (stack_masks(&[sample([3, 2, 2]).image]).map(|_| ()), "one size and one channel"),
        (stack_masks(&[]).map(|_| ()), "no masks"),
    ];
    for (refusal, text) in refusals {
        let message = refusal.unwrap_err().to_string();
        assert!(message.contains(text), "{message}");
    }
    let several = |targets: &[i32]| Sample { image: sample([1, 1, 1]).image, target: targets.to_vec() };
    let batch = stack_images(vec![several(&[0, 2]), several(&[]), several(&[1])]).unwrap();
    let hot = batch.multi_hot(3).unwrap();
    assert_eq!((hot.shape(), hot.values()), (&[3, 3][..], &[1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0][..]));
    assert!(batch.multi_hot(2).unwrap_err().to_string().contains("image 0 is of class 2, of 2"));
    let masks =
        stack_masks(&[Image::new([1, 1, 2], vec![0, 255]).unwrap(), Image::new([1, 1, 2], vec![3, 4]).unwrap()]);
    let masks = masks.unwrap();
    assert_eq!((masks.shape(), masks.values()), (&[2, 1, 2][..], &[0, 255, 3, 4][..]));
}
