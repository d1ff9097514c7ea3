//! A panel of lines over two axes.

use std::fmt::{self, Write as _};

use super::axis::Axis;
use super::{Anchor, MARGIN, PANEL_TITLE_HEIGHT, PANEL_WIDTH, Series, TEXT, text};

/// Of the whole panel.
pub(super) const HEIGHT: f64 = 282.0;
/// The last tick's label reaches into it.
const RIGHT_MARGIN: f64 = 26.0;
const TICKS_WIDTH: f64 = 40.0;
/// Of the vertical axis's label, above it.
const LABEL_HEIGHT: f64 = 14.0;
/// Of the horizontal axis's ticks and label, and a margin.
const FOOT_HEIGHT: f64 = 52.0;
/// With more points than these, a line shows by itself where they are.
const DOTS_MAX: usize = 10;

/// Lines by the series of the sheet.
pub(super) struct Lines {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// For each series its points, in the order of x; none is no line.
    pub(super) points: Vec<Vec<(f64, f64)>>,
}

impl Lines {
    pub(super) fn write(
        &self,
        out: &mut String,
        series: &[Series],
        (x, y): (f64, f64),
    ) -> fmt::Result {
        let (left, right) = (x + MARGIN + TICKS_WIDTH, x + PANEL_WIDTH - RIGHT_MARGIN);
        let top = y + PANEL_TITLE_HEIGHT + LABEL_HEIGHT;
        let bottom = y + HEIGHT - FOOT_HEIGHT;
        let across = |place: f64| left + place * (right - left);
        let up = |place: f64| bottom - place * (bottom - top);
        text(out, (x + MARGIN, top - 12.0), Anchor::Start, &self.y.label)?;
        let middle = f64::midpoint(left, right);
        text(out, (middle, bottom + 34.0), Anchor::Middle, &self.x.label)?;
        for (tick, name) in &self.y.ticks {
            let y = up(self.y.place(*tick));
            write_grid(out, (left, y), (right, y))?;
            text(out, (left - 6.0, y + 4.0), Anchor::End, name)?;
        }
        for (tick, name) in &self.x.ticks {
            let x = across(self.x.place(*tick));
            write_grid(out, (x, top), (x, bottom))?;
            text(out, (x, bottom + 16.0), Anchor::Middle, name)?;
        }
        for (series, points) in series.iter().zip(&self.points) {
            let places: Vec<_> = points
                .iter()
                .map(|&(x, y)| (across(self.x.place(x)), up(self.y.place(y))))
                .collect();
            write_line(out, series, &places)?;
        }
        Ok(())
    }
}

fn write_grid(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> fmt::Result {
    writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{TEXT}\" \
         stroke-opacity=\"0.3\"/>"
    )
}

fn write_line(out: &mut String, series: &Series, places: &[(f64, f64)]) -> fmt::Result {
    if places.is_empty() {
        return Ok(());
    }
    let points: Vec<_> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    writeln!(out, "<polyline points=\"{}\" {}/>", points.join(" "), series.stroke())?;
    if places.len() > DOTS_MAX {
        return Ok(());
    }
    for (x, y) in places {
        let colour = series.colour;
        writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{BLUE, ORANGE};
    use super::*;

    #[test]
    fn points_lie_between_the_axes() {
        let lines = Lines {
            title: "grown".to_owned(),
            x: Axis::log("records", [1.0, 100.0]),
            y: Axis::linear("µs", [100.0]),
            points: vec![vec![(1.0, 0.0), (100.0, 100.0)], Vec::new()],
        };
        let series = [Series::new("a", ORANGE, false), Series::new("b", BLUE, true)];
        let mut out = String::new();
        lines.write(&mut out, &series, (0.0, 0.0)).expect("a String takes everything");
        let (left, right) = (MARGIN + TICKS_WIDTH, PANEL_WIDTH - RIGHT_MARGIN);
        let (top, bottom) = (PANEL_TITLE_HEIGHT + LABEL_HEIGHT, HEIGHT - FOOT_HEIGHT);
        let expected = format!("points=\"{left:.1},{bottom:.1} {right:.1},{top:.1}\"");
        assert!(out.contains(&expected), "{out}");
        assert_eq!((out.matches("<polyline").count(), out.matches("<circle").count()), (1, 2));
        assert!(out.contains(">records<") && out.contains(">µs<"), "{out}");
    }
}
