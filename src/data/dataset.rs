//! Items by number.

use crate::error::{Error, Result};
use std::sync::Arc;

/// A set of items that are fetched by number: PyTorch's `Dataset` with `__len__` and `__getitem__`.
///
/// A loader's threads call [`get`](Dataset::get) at the same time, so a set that is loaded from must be `Sync`.
///
/// ```
/// use wgrad::{Result, data::Dataset};
///
/// /// The squares of the numbers below `count`.
/// struct Squares { count: usize }
///
/// impl Dataset for Squares {
///     type Item = f32;
///     fn len(&self) -> usize {
///         self.count
///     }
///     fn get(&self, index: usize) -> Result<f32> {
///         Ok((index * index) as f32)
///     }
/// }
///
/// let even = Squares { count: 10 }.subset(vec![0, 2, 4])?;
/// assert_eq!(even.get(2)?, 16.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub trait Dataset {
    /// An item: an image and its label, say.
    type Item;

    /// Number of items.
    fn len(&self) -> usize;

    /// The item of a number below [`len`](Dataset::len).
    ///
    /// # Errors
    /// Errors of the set, such as [`Error::File`]; [`Error::IndexOutOfRange`].
    fn get(&self, index: usize) -> Result<Self::Item>;

    /// True if there are no items.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items with some numbers, in their order; a number may occur several times.
    ///
    /// # Errors
    /// [`Error::IndexOutOfRange`].
    fn subset(self, indices: Vec<usize>) -> Result<Subset<Self>>
    where
        Self: Sized,
    {
        for &index in &indices {
            check_index("subset", index, self.len())?;
        }
        Ok(Subset { set: self, indices })
    }

    /// Each item changed by a function, as it is fetched.
    fn map<T, F: Fn(Self::Item) -> Result<T>>(self, function: F) -> Map<Self, F>
    where
        Self: Sized,
    {
        Map { set: self, function }
    }

    /// Each item with its number, by which random transforms know the items of a batch.
    ///
    /// ```
    /// use wgrad::data::Dataset;
    /// assert_eq!(vec!['a', 'b'].enumerate().get(1)?, (1, 'b'));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    fn enumerate(self) -> Enumerate<Self>
    where
        Self: Sized,
    {
        Enumerate { set: self }
    }

    /// Pairs of the items of two sets with the same number.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sets differ in length.
    fn zip<B: Dataset>(self, other: B) -> Result<Zip<Self, B>>
    where
        Self: Sized,
    {
        if self.len() != other.len() {
            return Err(Error::invalid("zip", format!("sets of {} and {} items", self.len(), other.len())));
        }
        Ok(Zip { first: self, second: other })
    }
}

/// A number that a set of `size` items does not have is an error.
pub(super) fn check_index(op: &'static str, index: usize, size: usize) -> Result<()> {
    if index < size {
        return Ok(());
    }
    Err(Error::IndexOutOfRange { op, index: i64::try_from(index).unwrap_or(i64::MAX), size })
}

/// The most pixels of an item that a set draws.
const MOST_PIXELS: usize = 1 << 24;

/// Sides with more pixels than an item may have are an error.
pub(super) fn check_pixels(op: &'static str, sides: &[usize]) -> Result<()> {
    match sides.iter().try_fold(1usize, |pixels, &side| pixels.checked_mul(side)) {
        Some(pixels) if pixels <= MOST_PIXELS => Ok(()),
        _ => Err(Error::invalid(op, format!("sides of {sides:?}; an item has at most {MOST_PIXELS} pixels"))),
    }
}

/// Some items of a set: see [`Dataset::subset`].
#[derive(Clone, Debug)]
pub struct Subset<D> {
    set: D,
    indices: Vec<usize>,
}

impl<D: Dataset> Dataset for Subset<D> {
    type Item = D::Item;

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<D::Item> {
        check_index("subset", index, self.len())?;
        self.set.get(self.indices[index])
    }
}

/// Items changed by a function: see [`Dataset::map`].
#[derive(Clone, Debug)]
pub struct Map<D, F> {
    set: D,
    function: F,
}

impl<D: Dataset, T, F: Fn(D::Item) -> Result<T>> Dataset for Map<D, F> {
    type Item = T;

    fn len(&self) -> usize {
        self.set.len()
    }

    fn get(&self, index: usize) -> Result<T> {
        (self.function)(self.set.get(index)?)
    }
}

/// Items with their numbers: see [`Dataset::enumerate`].
#[derive(Clone, Debug)]
pub struct Enumerate<D> {
    set: D,
}

impl<D: Dataset> Dataset for Enumerate<D> {
    type Item = (usize, D::Item);

    fn len(&self) -> usize {
        self.set.len()
    }

    fn get(&self, index: usize) -> Result<(usize, D::Item)> {
        Ok((index, self.set.get(index)?))
    }
}

/// Pairs of items: see [`Dataset::zip`].
#[derive(Clone, Debug)]
pub struct Zip<A, B> {
    first: A,
    second: B,
}

impl<A: Dataset, B: Dataset> Dataset for Zip<A, B> {
    type Item = (A::Item, B::Item);

    fn len(&self) -> usize {
        self.first.len()
    }

    fn get(&self, index: usize) -> Result<(A::Item, B::Item)> {
        Ok((self.first.get(index)?, self.second.get(index)?))
    }
}

impl<T: Clone> Dataset for Vec<T> {
    type Item = T;

    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn get(&self, index: usize) -> Result<T> {
        check_index("get", index, Vec::len(self))?;
        Ok(self[index].clone())
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<D: Dataset + ?Sized> Dataset for $pointer {
            type Item = D::Item;

            fn len(&self) -> usize {
                (**self).len()
            }

            fn get(&self, index: usize) -> Result<D::Item> {
                (**self).get(index)
            }
        }
    )*};
}

forward!(&D, Arc<D>, Box<D>);
