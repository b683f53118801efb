//! Colours for numbers.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::shape::Shape;

/// A way from numbers to colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ColourMap {
    /// Dark blue over green to yellow: even steps of lightness, which people with any colour vision see (Smith and van der Walt,
    /// matplotlib 1.5, 2015).
    #[default]
    Viridis,
    /// Blue, cyan, yellow, red, as in MATLAB and in most papers on class activation maps: channel `c` of red, green and blue is
    /// `1.5 - |4 x - 3 + c|`, cut off at 0 and 1.
    Jet,
    /// For signed numbers: blue over a light grey at the middle, 0.5, to red (ColorBrewer's RdBu, Harrower and Brewer, 2003,
    /// from its end).
    Diverging,
}

/// Evenly spaced colours, between which maps go straight.
const VIRIDIS: [u32; 33] = [
    0x440154, 0x470d60, 0x48186a, 0x482374, 0x472d7b, 0x453681, 0x424086, 0x3f4989, 0x3b528b, 0x375a8d, 0x33638d,
    0x2f6a8e, 0x2c728e, 0x297a8e, 0x26818e, 0x23898e, 0x21908c, 0x1f988b, 0x1f9f88, 0x21a685, 0x28ae80, 0x31b57b,
    0x3ebc74, 0x4cc26c, 0x5dc963, 0x6ece58, 0x82d34c, 0x96d83f, 0xabdc32, 0xc0df24, 0xd5e21a, 0xeae51a, 0xfde725,
];
const RED_BLUE: [u32; 11] =
    [0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b, 0x67001f];

/// Colours of [`ColourMap::paint`].
const STEPS: usize = 256;

fn between(stops: &[u32], share: f64) -> [f64; 3] {
    let place = share * (stops.len() - 1) as f64;
    let stop = nearest::<usize>(place).min(stops.len() - 2);
    let part = place - stop as f64;
    let channel = |colour: u32, shift: u32| f64::from(colour >> shift & 0xff) / 255.0;
    [16, 8, 0].map(|shift| channel(stops[stop], shift) * (1.0 - part) + channel(stops[stop + 1], shift) * part)
}

impl ColourMap {
    /// All of them.
    pub const ALL: [ColourMap; 3] = [ColourMap::Viridis, ColourMap::Jet, ColourMap::Diverging];

    /// The name that commands show.
    pub const fn name(self) -> &'static str {
        match self {
            ColourMap::Viridis => "viridis",
            ColourMap::Jet => "jet",
            ColourMap::Diverging => "diverging",
        }
    }

    /// Red, green and blue from 0 to 1 of a number, which is clipped at 0 and 1; NaN has the colour of 0.
    ///
    /// ```
    /// use wgrad::explain::ColourMap;
    ///
    /// assert_eq!(ColourMap::Jet.colour(0.25), [0.0, 0.5, 1.0]);
    /// ```
    pub fn colour(self, number: f64) -> [f64; 3] {
        let share = if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) };
        match self {
            ColourMap::Viridis => between(&VIRIDIS, share),
            ColourMap::Jet => [3.0, 2.0, 1.0].map(|middle| (1.5 - (4.0 * share - middle).abs()).clamp(0.0, 1.0)),
            ColourMap::Diverging => between(&RED_BLUE, share),
        }
    }

    /// Pictures `[N, 3, H, W]`, 0 to 1, of maps `[N, 1, H, W]` of numbers that are clipped at 0 and 1, in 256 colours: for
    /// [`save_images`](crate::data::save_images).
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, [`Error::WrongDType`] for numbers that are not floats.
    ///
    /// ```
    /// use wgrad::explain::ColourMap;
    /// # use wgrad::{Device, Tensor};
    /// let maps = Tensor::rand(&Device::reference(), &[2, 1, 5, 5])?;
    /// assert_eq!(ColourMap::Viridis.paint(&maps)?.shape()[..], [2, 3, 5, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn paint(self, maps: &Tensor) -> Result<Tensor> {
        const OP: &str = "paint";
        let &[count, 1, height, width] = &maps.shape()[..] else {
            return Err(Error::invalid(OP, format!("maps are [N, 1, H, W], not {}", maps.shape())));
        };
        if !maps.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "floats from 0 to 1", got: maps.dtype() });
        }
        let last = (STEPS - 1) as f64;
        let colours = (0..STEPS).flat_map(|step| self.colour(step as f64 / last));
        let colours: Vec<f32> = colours.map(nearest::<f32>).collect();
        let colours = Tensor::from_slice(maps.device(), &colours, &[STEPS, 3])?;
        let shares = maps.detach().to_dtype(DType::F32)?.clamp(Some(0.0), Some(1.0))?;
        let steps = (shares * last)?.round()?.to_dtype(DType::I32)?.flatten(0, -1)?;
        let painted = colours.index_select(0, &steps)?.reshape_to(Shape::new(&[count, height, width, 3])?)?;
        painted.permute([0, 3, 1, 2])?.contiguous()
    }
}
