//! Options are structs with a default and a method for each field: `Conv2dOptions::default().padding(1).stride([2, 2])`.

use crate::error::{Error, Result};
use crate::ops::Padding;
use std::path::{Path, PathBuf};

/// A value that converts to a `T`: a `T` itself, and besides
///
/// * for sizes of `D` dimensions, `[usize; D]`, one number for all of them;
/// * for a `Vec`, an array;
/// * for an `Option`, its content;
/// * for a [`Padding`], sizes, or `"same"` and `"valid"`.
///
/// ```
/// use wgrad::{AvgPool2dOptions, Conv2dOptions, Padding};
///
/// let options = Conv2dOptions::default().padding(1).stride([2, 1]);
/// assert_eq!(options.padding, Padding::Explicit([1, 1]));
/// assert_eq!(Conv2dOptions::default().padding("same").padding, Padding::Same);
/// assert_eq!(AvgPool2dOptions::default().stride(3).stride, Some([3, 3]));
/// ```
pub trait As<T> {
    /// The `T`.
    fn convert(self) -> T;
}

impl<T> As<T> for T {
    fn convert(self) -> T {
        self
    }
}

impl<T> As<Option<T>> for T {
    fn convert(self) -> Option<T> {
        Some(self)
    }
}

impl<const D: usize> As<[usize; D]> for usize {
    fn convert(self) -> [usize; D] {
        [self; D]
    }
}

impl<const D: usize> As<Option<[usize; D]>> for usize {
    fn convert(self) -> Option<[usize; D]> {
        Some([self; D])
    }
}

impl<const D: usize> As<[Option<usize>; D]> for usize {
    fn convert(self) -> [Option<usize>; D] {
        [Some(self); D]
    }
}

impl<const D: usize> As<[Option<usize>; D]> for [usize; D] {
    fn convert(self) -> [Option<usize>; D] {
        self.map(Some)
    }
}

impl<T, const N: usize> As<Vec<T>> for [T; N] {
    fn convert(self) -> Vec<T> {
        self.into()
    }
}

impl<T, const N: usize> As<Option<Vec<T>>> for [T; N] {
    fn convert(self) -> Option<Vec<T>> {
        Some(self.into())
    }
}

impl<T: Clone> As<Option<Vec<T>>> for &[T] {
    fn convert(self) -> Option<Vec<T>> {
        Some(self.to_vec())
    }
}

impl As<Option<String>> for &str {
    fn convert(self) -> Option<String> {
        Some(self.to_string())
    }
}

impl As<Option<PathBuf>> for &Path {
    fn convert(self) -> Option<PathBuf> {
        Some(self.to_path_buf())
    }
}

impl<const D: usize> As<Padding<D>> for usize {
    fn convert(self) -> Padding<D> {
        Padding::Explicit([self; D])
    }
}

impl<const D: usize> As<Padding<D>> for [usize; D] {
    fn convert(self) -> Padding<D> {
        Padding::Explicit(self)
    }
}

/// `"same"` or `"valid"`. Any other word is an error when the convolution is recorded, as other unfitting options are.
impl<const D: usize> As<Padding<D>> for &'static str {
    fn convert(self) -> Padding<D> {
        Padding::try_from(self).unwrap_or(Padding::Unknown(self))
    }
}

impl<const D: usize> TryFrom<&str> for Padding<D> {
    type Error = Error;
    fn try_from(word: &str) -> Result<Padding<D>> {
        match word {
            "same" => Ok(Padding::Same),
            "valid" => Ok(Padding::Valid),
            _ => Err(Error::invalid("padding", format!("{word:?} is neither \"same\" nor \"valid\""))),
        }
    }
}

/// Options that can tell which fields were set.
pub(crate) trait Options {
    /// The names and values of the fields that differ from their defaults.
    fn changed(&self) -> Vec<(&'static str, String)>;
}

/// Declares structs of options from their fields and defaults, with a method for each field that sets it.
macro_rules! options {
    ($(
        $(#[$about:meta])*
        $name:ident $(<const $d:ident: usize>)? { $($(#[$doc:meta])* $field:ident: $kind:ty = $default:expr,)* }
    )*) => {$(
        $(#[$about])*
        pub struct $name $(<const $d: usize>)? {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl $(<const $d: usize>)? Default for $name $(<$d>)? {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        impl $(<const $d: usize>)? $crate::options::Options for $name $(<$d>)? {
            fn changed(&self) -> Vec<(&'static str, String)> {
                let default = Self::default();
                let values = [$((stringify!($field), format!("{:?}", self.$field), format!("{:?}", default.$field)),)*];
                values.into_iter().filter(|(_, set, default)| set != default).map(|(name, set, _)| (name, set)).collect()
            }
        }

        impl $(<const $d: usize>)? $name $(<$d>)? {
            $($(#[$doc])*
            #[must_use = "it returns options with the field set"]
            pub fn $field(mut self, $field: impl $crate::options::As<$kind>) -> Self {
                self.$field = $field.convert();
                self
            })*
        }
    )*};
}
pub(crate) use options;
