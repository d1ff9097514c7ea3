//! Axes: where a value lies, and what is written beside.

use super::short;

/// From 0 to 1 along an axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) label: String,
    /// Values with what they are called, ascending.
    pub(super) ticks: Vec<(f64, String)>,
    scale: Scale,
    least: f64,
    most: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
    /// Shares: each further nine is as far as the one before.
    Nines,
}

/// Ticks of a linear axis, at about this distance.
const LINEAR_TICKS: f64 = 4.0;
/// Over how many decades a logarithmic axis has ticks between them.
const FINE_DECADES: f64 = 3.0;
/// What is nearest to 1 of the shares.
const SHARE_MOST: f64 = 0.999;

impl Axis {
    /// From 0 to a round number beyond all values.
    pub(super) fn linear(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let most = values.into_iter().fold(0.0, f64::max);
        let step = if most > 0.0 { round_up(most / LINEAR_TICKS) } else { 1.0 };
        let most = (most / step).ceil().max(1.0) * step;
        let ticks = std::iter::successors(Some(0.0), |tick| Some(tick + step));
        // The last one may be a little more for its rounding.
        let ticks = ticks.take_while(|tick| *tick < most + step / 2.0);
        Self::new(label, Scale::Linear, 0.0, most, ticks)
    }

    /// Between round numbers around all values, which are more than 0.
    pub(super) fn log(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let values = values.into_iter().filter(|value| *value > 0.0);
        let (least, most) = values.fold((f64::INFINITY, 0.0), |(least, most), value| {
            (f64::min(least, value), f64::max(most, value))
        });
        if most <= 0.0 {
            return Self::log(label, [1.0, 10.0]);
        }
        let (least, most) = (round_down(least), round_up(most));
        let most = if most > least { most } else { round_up(least * 1.5) };
        let fine = (most / least).log10() <= FINE_DECADES;
        let first = 10_f64.powf(least.log10().floor());
        let decades = std::iter::successors(Some(first), |decade| Some(decade * 10.0));
        let decades = decades.take_while(|decade| *decade <= most * 1.01);
        let steps: &[f64] = if fine { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = decades.flat_map(|decade| steps.iter().map(move |step| step * decade));
        let ticks = ticks.filter(|tick| *tick > least * 0.99 && *tick < most * 1.01);
        Self::new(label, Scale::Log, least, most, ticks)
    }

    /// Shares from nothing to all but a thousandth.
    pub(super) fn nines(label: &str) -> Self {
        let mut axis = Self::new(label, Scale::Nines, 0.0, SHARE_MOST, []);
        let named =
            [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (SHARE_MOST, "99.9 %")];
        axis.ticks = named.map(|(share, name)| (share, name.to_owned())).into();
        axis
    }

    fn new(
        label: &str,
        scale: Scale,
        least: f64,
        most: f64,
        ticks: impl IntoIterator<Item = f64>,
    ) -> Self {
        let ticks = ticks.into_iter().map(|tick| (tick, short(tick))).collect();
        Self { label: label.to_owned(), ticks, scale, least, most }
    }

    /// Where a value lies, from 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.least) / (self.most - self.least),
            Scale::Log => (value / self.least).ln() / (self.most / self.least).ln(),
            Scale::Nines => (1.0 - value).ln() / (1.0 - self.most).ln(),
        };
        place.clamp(0.0, 1.0)
    }
}

/// The nearest of 1, 2 and 5 times a power of ten that isn't less.
fn round_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * decade >= value * 0.999_999);
    step.unwrap_or(10.0) * decade
}

/// The nearest of 1, 2 and 5 times a power of ten that isn't more.
fn round_down(value: f64) -> f64 {
    let decade = 10_f64.powf(value.log10().floor());
    let step = [5.0, 2.0].into_iter().find(|step| step * decade <= value * 1.000_001);
    step.unwrap_or(1.0) * decade
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, name)| name.as_str()).collect()
    }

    #[expect(clippy::float_cmp, reason = "powers of ten are exact enough to be equal")]
    #[test]
    fn rounding_goes_to_the_next_step() {
        assert_eq!([0.3, 1.0, 17.0, 20.0, 51.0].map(round_up), [0.5, 1.0, 20.0, 20.0, 100.0]);
        assert_eq!([0.3, 1.0, 17.0, 20.0, 99.0].map(round_down), [0.2, 1.0, 10.0, 20.0, 50.0]);
    }

    #[test]
    fn a_linear_axis_begins_at_nothing() {
        let axis = Axis::linear("µs", [3.0, 87.0]);
        assert_eq!(names(&axis), ["0", "50", "100"]);
        assert!((axis.place(25.0) - 0.25).abs() < 1e-9);
        assert_eq!(names(&Axis::linear("none", [])), ["0", "1"]);
    }

    #[test]
    fn a_logarithmic_axis_is_finer_where_there_is_room() {
        let axis = Axis::log("µs", [24.0, 410.0]);
        assert_eq!(names(&axis), ["20", "50", "100", "200", "500"]);
        assert!((axis.place(100.0) - 0.5).abs() < 1e-9);
        let wide = Axis::log("per second", [300.0, 4e6]);
        assert_eq!(names(&wide), ["1 k", "10 k", "100 k", "1 M"]);
        // Beyond the axis is at its end.
        assert!(wide.place(1.0) <= 0.0 && wide.place(1e9) >= 1.0);
        assert_eq!(names(&Axis::log("one", [20.0])), ["20", "50"]);
        assert_eq!(names(&Axis::log("none", [])), ["1", "2", "5", "10"]);
    }

    #[test]
    fn each_nine_is_as_far_as_the_one_before() {
        let axis = Axis::nines("share");
        assert_eq!(names(&axis), ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        let places = [0.0, 0.9, 0.99, 0.999].map(|share| axis.place(share));
        for (place, expected) in places.into_iter().zip([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]) {
            assert!((place - expected).abs() < 1e-9, "{places:?}");
        }
    }
}
