//! The three forms of a reduction.

/// A reduction over some dimensions, which are dropped or kept with size 1, and over all of them. `..` stands for the dimensions
/// among the arguments; all three call the function behind the arrow, with the dimensions in ascending order, the other
/// arguments, and true if dimensions are kept.
macro_rules! reduction {
    (
        $(#[$doc:meta])*
        $name:ident($($before:ident: $b:ty,)* .. $(, $after:ident: $a:ty)*), $keepdim:ident, $all:ident => $over:ident
    ) => {
        impl $crate::graph::Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(
                &self,
                $($before: $b,)*
                dims: impl $crate::dims::Dims
                $(, $after: $a)*
            ) -> $crate::error::Result<Self> {
                $crate::ops::reduce::forms::reduced!(self, $name, dims, |of, dims| of.$over($($before,)* dims $(, $after)*, false))
            }

            #[doc = concat!("[`", stringify!($name), "`](Tensor::", stringify!($name), ")")]
            /// keeping the reduced dimensions, with size 1.
            ///
            /// # Errors
            #[doc = concat!("As `", stringify!($name), "`.")]
            #[track_caller]
            pub fn $keepdim(
                &self,
                $($before: $b,)*
                dims: impl $crate::dims::Dims
                $(, $after: $a)*
            ) -> $crate::error::Result<Self> {
                $crate::ops::reduce::forms::reduced!(self, $name, dims, |of, dims| of.$over($($before,)* dims $(, $after)*, true))
            }

            #[doc = concat!("[`", stringify!($name), "`](Tensor::", stringify!($name), ")")]
            /// over all dimensions.
            ///
            /// # Errors
            #[doc = concat!("As `", stringify!($name), "`.")]
            #[track_caller]
            pub fn $all(&self $(, $before: $b)* $(, $after: $a)*) -> $crate::error::Result<Self> {
                self.$name($($before,)* .. $(, $after)*)
            }
        }
    };
}

/// A reduction of a tensor, in the type that autocast chooses for it.
macro_rules! reduced {
    ($tensor:expr, $name:ident, $dims:ident, |$of:ident, $over:ident| $reduction:expr) => {{
        let $over = &$tensor.shape().dims(stringify!($name), $dims)?;
        match $crate::ops::autocast::enter(stringify!($name))? {
            Some(cast) => {
                let $of = &cast.of($tensor)?;
                $reduction
            }
            None => {
                let $of = $tensor;
                $reduction
            }
        }
    }};
}

pub(in crate::ops) use {reduced, reduction};
