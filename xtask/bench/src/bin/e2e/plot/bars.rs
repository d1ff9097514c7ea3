//! A panel of bars in groups, one for each series.

use std::fmt::{self, Write as _};

use super::{Anchor, MARGIN, PANEL_TITLE_HEIGHT, PANEL_WIDTH, Series, short, text};

const BAR_HEIGHT: f64 = 13.0;
const GAP: f64 = 3.0;
const GROUP_GAP: f64 = 9.0;
const NAME_WIDTH: f64 = 118.0;
/// For the figure behind the longest bar.
const NUMBER_WIDTH: f64 = 52.0;

/// Bars by groups and the series of the sheet.
pub(super) struct Bars {
    pub(super) title: String,
    /// Each with its name and a value for each series, if that has one.
    groups: Vec<(String, Vec<Option<f64>>)>,
}

impl Bars {
    pub(super) fn new(title: &str, groups: Vec<(String, Vec<Option<f64>>)>) -> Self {
        Self { title: title.to_owned(), groups }
    }

    pub(super) fn height(&self) -> f64 {
        let groups = self.groups.iter().map(|(_, values)| height(values) + GROUP_GAP);
        PANEL_TITLE_HEIGHT + groups.sum::<f64>() + MARGIN
    }

    pub(super) fn write(
        &self,
        out: &mut String,
        series: &[Series],
        (x, y): (f64, f64),
    ) -> fmt::Result {
        let values = self.groups.iter().flat_map(|(_, values)| values).flatten();
        let longest = values.copied().fold(0.0, f64::max);
        let full = PANEL_WIDTH - 2.0 * MARGIN - NAME_WIDTH - NUMBER_WIDTH;
        let (start, mut top) = (x + MARGIN + NAME_WIDTH, y + PANEL_TITLE_HEIGHT);
        for (name, values) in &self.groups {
            let middle = top + height(values) / 2.0;
            text(out, (start - 6.0, middle + 4.0), Anchor::End, name)?;
            for (series, value) in series.iter().zip(values) {
                let Some(value) = value else { continue };
                let length = (full * value / longest).max(1.0);
                writeln!(
                    out,
                    "<rect x=\"{start}\" y=\"{top}\" width=\"{length:.1}\" \
                     height=\"{BAR_HEIGHT}\" fill=\"{}\"/>",
                    series.colour
                )?;
                let behind = (start + length + 5.0, top + BAR_HEIGHT - 2.0);
                text(out, behind, Anchor::Start, &short(*value))?;
                top += BAR_HEIGHT + GAP;
            }
            top += GROUP_GAP;
        }
        Ok(())
    }
}

fn height(values: &[Option<f64>]) -> f64 {
    values.iter().flatten().map(|_| BAR_HEIGHT + GAP).sum()
}

#[cfg(test)]
mod tests {
    use super::super::{GREY, ORANGE};
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values() {
        let groups = vec![
            ("memory".to_owned(), vec![Some(250.0), Some(1_000.0)]),
            ("disk".to_owned(), vec![Some(500.0), None]),
        ];
        let bars = Bars::new("rates", groups);
        let series = [Series::new("Blaze", ORANGE, false), Series::new("floor", GREY, false)];
        let mut out = String::new();
        bars.write(&mut out, &series, (0.0, 0.0)).expect("a String takes everything");
        let full = PANEL_WIDTH - 2.0 * MARGIN - NAME_WIDTH - NUMBER_WIDTH;
        for length in [full / 4.0, full, full / 2.0] {
            assert!(out.contains(&format!("width=\"{length:.1}\"")), "{out}");
        }
        assert_eq!(out.matches("<rect").count(), 3);
        let height = PANEL_TITLE_HEIGHT + 3.0 * (BAR_HEIGHT + GAP) + 2.0 * GROUP_GAP + MARGIN;
        assert!((bars.height() - height).abs() < 1e-9);
    }
}
