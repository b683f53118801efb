//! Changes of a pixel's colour, in sequence, and the reference code for them.

use crate::number::nearest;

/// A change of colour with torchvision's meaning and units: for bytes, a threshold is from 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ColourStep {
    Identity,
    Brightness(f32),
    Saturation(f32),
    /// Rotation of the colour wheel, from -0.5 to 0.5.
    Hue(f32),
    Gamma {
        gamma: f32,
        gain: f32,
    },
    Invert,
    /// The number of bits to keep.
    Posterize(f32),
    Solarize(f32),
    Grayscale,
    /// The source of each channel.
    Permute([f32; 3]),
    /// Height and width of an image that is smaller than its batch: always the first step.
    Extent([f32; 2]),
    Contrast(f32),
    Autocontrast,
    Equalize,
}

impl ColourStep {
    /// Code and numbers, as `shaders/colour/colour.wgsl` reads them.
    pub(crate) fn words(self) -> [f32; 4] {
        match self {
            ColourStep::Identity => [0.0; 4],
            ColourStep::Brightness(factor) => [1.0, factor, 0.0, 0.0],
            ColourStep::Saturation(factor) => [2.0, factor, 0.0, 0.0],
            ColourStep::Hue(turn) => [3.0, turn, 0.0, 0.0],
            ColourStep::Gamma { gamma, gain } => [4.0, gamma, gain, 0.0],
            ColourStep::Invert => [5.0, 0.0, 0.0, 0.0],
            ColourStep::Posterize(bits) => [6.0, bits, 0.0, 0.0],
            ColourStep::Solarize(threshold) => [7.0, threshold, 0.0, 0.0],
            ColourStep::Grayscale => [8.0, 0.0, 0.0, 0.0],
            ColourStep::Permute([x, y, z]) => [9.0, x, y, z],
            ColourStep::Extent([height, width]) => [10.0, height, width, 0.0],
            ColourStep::Contrast(factor) => [11.0, factor, 0.0, 0.0],
            ColourStep::Autocontrast => [12.0, 0.0, 0.0, 0.0],
            ColourStep::Equalize => [13.0, 0.0, 0.0, 0.0],
        }
    }

    /// The step for these words.
    pub(super) fn from_words(words: &[f64]) -> ColourStep {
        let [code, x, y, z] = [0, 1, 2, 3].map(|at| nearest::<f32>(words[at]));
        match nearest::<u32>(code) {
            1 => ColourStep::Brightness(x),
            2 => ColourStep::Saturation(x),
            3 => ColourStep::Hue(x),
            4 => ColourStep::Gamma { gamma: x, gain: y },
            5 => ColourStep::Invert,
            6 => ColourStep::Posterize(x),
            7 => ColourStep::Solarize(x),
            8 => ColourStep::Grayscale,
            9 => ColourStep::Permute([x, y, z]),
            10 => ColourStep::Extent([x, y]),
            11 => ColourStep::Contrast(x),
            12 => ColourStep::Autocontrast,
            13 => ColourStep::Equalize,
            _ => ColourStep::Identity,
        }
    }

    /// True if it depends on the whole image.
    pub(crate) fn needs_statistic(self) -> bool {
        matches!(self, ColourStep::Contrast(_) | ColourStep::Autocontrast | ColourStep::Equalize)
    }

    /// True if a channel's result depends on other channels.
    pub(crate) fn mixes_channels(self) -> bool {
        matches!(
            self,
            ColourStep::Saturation(_)
                | ColourStep::Hue(_)
                | ColourStep::Grayscale
                | ColourStep::Permute(_)
                | ColourStep::Contrast(_)
        )
    }
}

/// An image in double precision: the values of each channel.
pub(super) struct Image {
    pub channels: Vec<Vec<f64>>,
    pub bytes: bool,
}

impl Image {
    fn bound(&self) -> f64 {
        if self.bytes { 255.0 } else { 1.0 }
    }

    fn cut(&self, value: f64) -> f64 {
        if self.bytes { value.floor() } else { value }
    }

    fn bounded(&self, value: f64) -> f64 {
        self.cut(value.clamp(0.0, self.bound()))
    }

    /// Replaces every value.
    fn map(&mut self, change: impl Fn(&Image, f64) -> f64) {
        for channel in 0..self.channels.len() {
            let changed = self.channels[channel].iter().map(|&value| change(self, value)).collect();
            self.channels[channel] = changed;
        }
    }

    fn gray(&self) -> Vec<f64> {
        match &self.channels[..] {
            [r, g, b] => {
                let weigh = |at: usize| self.cut(0.2989 * r[at] + 0.587 * g[at] + 0.114 * b[at]);
                (0..r.len()).map(weigh).collect()
            }
            channels => channels[0].clone(),
        }
    }

    /// Each value times `share`, plus the rest of another image.
    fn blend(&mut self, other: &[f64], share: f64) {
        for channel in 0..self.channels.len() {
            let pairs = self.channels[channel].iter().zip(other);
            let mixed = pairs.map(|(&value, &other)| self.bounded(value * share + other * (1.0 - share))).collect();
            self.channels[channel] = mixed;
        }
    }

    fn rotate(&mut self, turn: f64) {
        let (scale, back) = if self.bytes { (1.0 / 255.0, 255.999) } else { (1.0, 1.0) };
        for at in 0..self.channels[0].len() {
            let color = [0, 1, 2].map(|channel: usize| self.channels[channel][at] * scale);
            for (channel, value) in rotate_hue(color, turn).into_iter().enumerate() {
                self.channels[channel][at] = self.cut(value * back);
            }
        }
    }

    /// A channel's values as bytes.
    fn to_bytes(&self, channel: usize) -> Vec<usize> {
        let scale = if self.bytes { 1.0 } else { 255.999 };
        self.channels[channel].iter().map(|value| nearest::<usize>((value * scale).clamp(0.0, 255.0))).collect()
    }

    fn equalize(&mut self) {
        for channel in 0..self.channels.len() {
            let bytes = self.to_bytes(channel);
            let mut counts = [0; 256];
            bytes.iter().for_each(|&byte| counts[byte] += 1);
            let largest = bytes.iter().max().map_or(0, |&byte| counts[byte]);
            let step = (bytes.len() - largest) / 255;
            let mut below = 0;
            let table: Vec<usize> = (0..256)
                .map(|byte| {
                    let level = (below + step / 2).checked_div(step).map_or(byte, |level| level.min(255));
                    below += counts[byte];
                    level
                })
                .collect();
            let scale = if self.bytes { 1.0 } else { 1.0 / 255.0 };
            self.channels[channel] = bytes.iter().map(|&byte| table[byte] as f64 * scale).collect();
        }
    }

    fn autocontrast(&mut self) {
        for channel in 0..self.channels.len() {
            let values = &self.channels[channel];
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let (low, scale) = if low == high { (0.0, 1.0) } else { (low, (high - low) / self.bound()) };
            let changed = values.iter().map(|value| self.bounded((value - low) / scale)).collect();
            self.channels[channel] = changed;
        }
    }

    /// Carries out a step.
    pub(super) fn step(&mut self, step: ColourStep) {
        match step {
            ColourStep::Identity | ColourStep::Extent(_) => {}
            // Grey images have no saturation and no hue.
            ColourStep::Saturation(_) | ColourStep::Hue(_) if self.channels.len() == 1 => {}
            ColourStep::Brightness(factor) => self.map(|image, value| image.bounded(value * f64::from(factor))),
            ColourStep::Saturation(factor) => self.blend(&self.gray(), f64::from(factor)),
            ColourStep::Hue(turn) => self.rotate(f64::from(turn)),
            ColourStep::Gamma { gamma, gain } => self.map(|image, value| {
                let (scale, back) = if image.bytes { (255.0, 255.999) } else { (1.0, 1.0) };
                let power = (value / scale).powf(f64::from(gamma));
                let scaled = if gain == 1.0 { power } else { (power * f64::from(gain)).clamp(0.0, 1.0) };
                image.cut(scaled * back)
            }),
            ColourStep::Invert => self.map(|image, value| image.bound() - value),
            ColourStep::Posterize(bits) => self.map(|image, value| {
                let levels = f64::from(bits).exp2();
                match image.bytes {
                    true => (value * levels / 256.0).floor() * 256.0 / levels,
                    false => (value * levels).floor().clamp(0.0, levels - 1.0) / levels,
                }
            }),
            ColourStep::Solarize(threshold) => self.map(|image, value| match value >= f64::from(threshold) {
                true => image.bound() - value,
                false => value,
            }),
            ColourStep::Grayscale => self.channels = vec![self.gray(); self.channels.len()],
            ColourStep::Permute(from) => {
                self.channels = from.iter().map(|&channel| self.channels[nearest::<usize>(channel)].clone()).collect();
            }
            ColourStep::Contrast(factor) => {
                let gray = self.gray();
                let mean = gray.iter().sum::<f64>() / gray.len() as f64;
                self.blend(&vec![mean; gray.len()], f64::from(factor));
            }
            ColourStep::Autocontrast => self.autocontrast(),
            ColourStep::Equalize => self.equalize(),
        }
    }
}

/// A colour rotated on the wheel: to hue, saturation and value, and back.
fn rotate_hue([r, g, b]: [f64; 3], turn: f64) -> [f64; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let range = high - low;
    let part = |value: f64| (high - value) / if range > 0.0 { range } else { 1.0 };
    let hue = match high {
        high if high == r => part(b) - part(g),
        high if high == g => 2.0 + part(r) - part(b),
        _ => 4.0 + part(g) - part(r),
    };
    let saturation = range / if range > 0.0 { high } else { 1.0 };
    let hue = 6.0 * ((hue / 6.0 + 1.0).rem_euclid(1.0) + turn).rem_euclid(1.0);
    let within = saturation * hue.fract();
    let [p, q, t] = [saturation, within, saturation - within].map(|share| ((1.0 - share) * high).clamp(0.0, 1.0));
    match nearest::<u32>(hue) % 6 {
        0 => [high, t, p],
        1 => [q, high, p],
        2 => [p, high, t],
        3 => [p, q, high],
        4 => [t, p, high],
        _ => [high, p, q],
    }
}
