//! Axes: from numbers to positions, and the numbers at their ticks.

use crate::logs::text::short;
use crate::number::nearest;

/// A range of numbers, each end included, linear or logarithmic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// An axis for these numbers, with a small margin. A logarithmic one shows positive numbers alone. Without numbers it is from
    /// 0 to 1, or from 1 to 10.
    pub fn of(numbers: impl Iterator<Item = f64>, log: bool) -> Axis {
        let shown = numbers.filter(|number| number.is_finite() && (!log || *number > 0.0));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), n| (low.min(n), high.max(n)));
        if low > high {
            return if log { Axis { low: 1.0, high: 10.0, log } } else { Axis { low: 0.0, high: 1.0, log } };
        }
        if log {
            let room = (high / low).powf(0.03).max(1.05);
            return Axis { low: (low / room).max(f64::MIN_POSITIVE), high: (high * room).min(f64::MAX), log };
        }
        // Halves, since the difference may overflow.
        let room = match (high / 2.0 - low / 2.0) * 0.06 {
            0.0 => {
                if low == 0.0 {
                    0.5
                } else {
                    low.abs() * 0.1
                }
            }
            room => room,
        };
        // Numbers from 0 up, as in most measures, get an axis from 0.
        let bottom = if low >= 0.0 && low - room < 0.0 { 0.0 } else { low - room };
        Axis { low: bottom.max(f64::MIN), high: (high + room).min(f64::MAX), log }
    }

    /// A linear axis with these ends.
    pub fn from_to(low: f64, high: f64) -> Axis {
        Axis { low, high, log: false }
    }

    /// The place of a number, from 0 to 1; `None` for one that the axis can't show.
    pub fn place(&self, number: f64) -> Option<f64> {
        let along = |number: f64| if self.log { number.ln() } else { number };
        if !number.is_finite() || (self.log && number <= 0.0) {
            return None;
        }
        let (low, high) = (along(self.low) / 2.0, along(self.high) / 2.0);
        Some((along(number) / 2.0 - low) / (high - low))
    }

    /// Numbers to label, about `most` of them at most, with their labels.
    pub fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        let most = most.max(2);
        let numbers = match self.log {
            true => self.decades(most),
            false => Vec::new(),
        };
        // A logarithmic axis of less than two decades lacks two powers of ten: it is labelled like a linear one.
        let numbers = if numbers.len() < 2 { self.steps(most) } else { numbers };
        names(&numbers)
    }

    /// 1, 2 and 5, or 1 alone, of each decade or of one in several.
    fn decades(&self, most: usize) -> Vec<f64> {
        let (low, high) = (nearest::<i32>(self.low.log10().floor()), nearest::<i32>(self.high.log10().ceil()));
        let inside = |number: &f64| (self.low..=self.high).contains(number);
        let numbers = |every: usize, of_decade: &'static [f64]| -> Vec<f64> {
            let decades = (low..=high).filter(|decade| decade.rem_euclid(nearest::<i32>(every)) == 0);
            decades
                .flat_map(|decade| of_decade.iter().map(move |digit| digit * 10f64.powi(decade)))
                .filter(inside)
                .collect()
        };
        let all = numbers(1, &[1.0, 2.0, 5.0]);
        if all.len() <= most {
            return all;
        }
        let every = (1..).find(|&every| numbers(every, &[1.0]).len() <= most);
        every.map_or(Vec::new(), |every| numbers(every, &[1.0]))
    }

    /// Multiples of 1, 2 or 5 times a power of ten.
    fn steps(&self, most: usize) -> Vec<f64> {
        let rough = (self.high / 2.0 - self.low / 2.0) / most as f64 * 2.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|digit| digit * power).find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(power * 10.0);
        let first = (self.low / step).ceil();
        let count = nearest::<usize>((self.high / step).floor() - first).min(4 * most);
        (0..=count).map(|index| (first + index as f64) * step).collect()
    }
}

/// Names with just enough digits to tell neighbours apart.
fn names(numbers: &[f64]) -> Vec<(f64, String)> {
    let short_names: Vec<String> = numbers.iter().map(|&number| short(number)).collect();
    let same = short_names.windows(2).any(|pair| pair[0] == pair[1]);
    let name = |number: f64| if same { format!("{number:?}") } else { short(number) };
    numbers.iter().map(|&number| (number, if number == 0.0 { "0".to_string() } else { name(number) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_any_numbers_are_named_and_in_place() {
        let lists: [&[f64]; 10] = [
            &[],
            &[0.0],
            &[3.0, 3.0],
            &[0.0, 1.0],
            &[-1e300, 1e300],
            &[1e-300, 2e-300],
            &[f64::NAN, f64::INFINITY, 2.0],
            &[0.1, 0.1 + 1e-12],
            &[f64::MAX, f64::MIN],
            &[1e-7, 1e3],
        ];
        for list in lists {
            for log in [false, true] {
                let axis = Axis::of(list.iter().copied(), log);
                let ticks = axis.ticks(6);
                assert!((2..=14).contains(&ticks.len()), "{list:?} {log} {axis:?} {ticks:?}");
                let places: Vec<f64> = ticks.iter().map(|(number, _)| axis.place(*number).unwrap()).collect();
                assert!(
                    places.is_sorted() && places.iter().all(|place| (-1e-6..=1.0 + 1e-6).contains(place)),
                    "{ticks:?}"
                );
                assert!(ticks.windows(2).all(|pair| pair[0].1 != pair[1].1), "{list:?} {ticks:?}");
                let shown = list.iter().filter(|number| number.is_finite() && (!log || **number > 0.0));
                assert!(
                    shown.into_iter().all(|&number| (0.0..=1.0).contains(&axis.place(number).unwrap())),
                    "{list:?}"
                );
            }
        }
    }

    #[test]
    fn steps_are_round() {
        let names = |axis: Axis| axis.ticks(6).into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ");
        assert_eq!(names(Axis::from_to(0.0, 1.0)), "0 0.2 0.4 0.6 0.8 1");
        assert_eq!(names(Axis::from_to(0.93, 0.99)), "0.93 0.94 0.95 0.96 0.97 0.98 0.99");
        assert_eq!(names(Axis::of([1e-5, 1.0].into_iter(), true)), "1e-5 1e-4 0.001 0.01 0.1 1");
        assert_eq!(names(Axis::of([0.2, 1.0].into_iter(), true)), "0.2 0.5 1");
    }
}
