//! Colours that people with any colour vision can tell apart.

use crate::number::nearest;
use plotters_backend::BackendColor;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(pub [u8; 3]);

impl Colour {
    /// A page replaces these four values in dark mode, so nothing else has them.
    pub const PAPER: Colour = Colour([0xff, 0xff, 0xff]);
    pub const INK: Colour = Colour([0x24, 0x29, 0x2f]);
    pub const FAINT: Colour = Colour([0x57, 0x60, 0x6a]);
    pub const GRID: Colour = Colour([0xe4, 0xe7, 0xeb]);
    /// Text on a light and on a dark cell.
    pub const ON_LIGHT: Colour = Colour([0x10, 0x18, 0x20]);
    pub const ON_DARK: Colour = Colour([0xfe, 0xfe, 0xfe]);

    /// The number of colours for series.
    pub const SERIES: usize = 7;

    /// The colour of a series, from the palette of Okabe and Ito (2008) without its yellow, which is faint on white.
    pub fn series(index: usize) -> Colour {
        const PALETTE: [[u8; 3]; Colour::SERIES] = [
            [0x00, 0x72, 0xb2],
            [0xd5, 0x5e, 0x00],
            [0x00, 0x9e, 0x73],
            [0xcc, 0x79, 0xa7],
            [0x56, 0xb4, 0xe9],
            [0xe6, 0x9f, 0x00],
            [0x7f, 0x7f, 0x7f],
        ];
        Colour(PALETTE[index % PALETTE.len()])
    }

    /// The colour of a share from 0 to 1: light to dark blue, evenly in lightness.
    pub fn share(share: f64) -> Colour {
        const STOPS: [[f64; 3]; 4] =
            [[246.0, 249.0, 253.0], [172.0, 203.0, 232.0], [62.0, 135.0, 196.0], [8.0, 48.0, 107.0]];
        let place = share.clamp(0.0, 1.0) * 3.0;
        let stop = nearest::<usize>(place.floor()).min(2);
        let part = place - stop as f64;
        let channel = |index: usize| STOPS[stop][index] * (1.0 - part) + STOPS[stop + 1][index] * part;
        Colour([0, 1, 2].map(|index| nearest::<u8>(nearest::<usize>(channel(index).round()))))
    }

    pub fn backend(self) -> BackendColor {
        BackendColor { alpha: 1.0, rgb: (self.0[0], self.0[1], self.0[2]) }
    }
}
