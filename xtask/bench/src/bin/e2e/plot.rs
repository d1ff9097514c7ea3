//! Pictures in plain SVG: a sheet of panels that share their series.
//!
//! Nothing lies behind the marks, and all colours are of a middle brightness, so that
//! it can be read on a light and on a dark page.

mod axis;
mod bars;
mod lines;
mod pictures;

use std::fmt::{self, Write as _};

use self::bars::Bars;
use self::lines::Lines;
pub(crate) use self::pictures::{Picture, save};

const PANEL_WIDTH: f64 = 430.0;
const MARGIN: f64 = 16.0;
/// Of the sheet's title with its legend below it.
const HEAD_HEIGHT: f64 = 50.0;
const PANEL_TITLE_HEIGHT: f64 = 30.0;
/// About what a letter takes.
const LETTER_WIDTH: f64 = 6.2;
const SAMPLE_WIDTH: f64 = 22.0;

const TEXT: &str = "#787878";
const ORANGE: &str = "#d9480f";
const BLUE: &str = "#3b82c4";
const GREY: &str = "#7b8fa8";

/// A picture of panels, two beside each other.
struct Sheet {
    title: String,
    series: Vec<Series>,
    panels: Vec<Panel>,
}

/// What has the same colour in all panels.
#[derive(Debug, Clone)]
struct Series {
    name: String,
    colour: &'static str,
    dashed: bool,
}

enum Panel {
    Lines(Lines),
    Bars(Bars),
}

/// How a text lies to its point.
#[derive(Debug, Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

impl Sheet {
    fn svg(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).expect("a String takes everything");
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let rows = self.panels.chunks(2);
        let heights: Vec<f64> =
            rows.map(|row| row.iter().map(Panel::height).fold(0.0, f64::max)).collect();
        let width = 2.0 * PANEL_WIDTH;
        let height = MARGIN + HEAD_HEIGHT + heights.iter().sum::<f64>();
        writeln!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"system-ui, sans-serif\" \
             font-size=\"12\" fill=\"{TEXT}\">"
        )?;
        let title = escape(&self.title);
        writeln!(out, "<text x=\"{MARGIN}\" y=\"26\" font-size=\"16\">{title}</text>")?;
        self.write_legend(out)?;
        let mut top = MARGIN + HEAD_HEIGHT;
        for (row, height) in self.panels.chunks(2).zip(heights) {
            for (panel, x) in row.iter().zip([0.0, PANEL_WIDTH]) {
                panel.write(out, &self.series, (x, top))?;
            }
            top += height;
        }
        writeln!(out, "</svg>")
    }

    fn write_legend(&self, out: &mut String) -> fmt::Result {
        let (mut x, y) = (MARGIN, 46.0);
        for series in &self.series {
            let end = x + SAMPLE_WIDTH;
            let (stroke, base) = (series.stroke(), y + 4.0);
            writeln!(out, "<line x1=\"{x:.1}\" y1=\"{y}\" x2=\"{end:.1}\" y2=\"{y}\" {stroke}/>")?;
            text(out, (end + 6.0, base), Anchor::Start, &series.name)?;
            x = end + 24.0 + series.name.chars().map(|_| LETTER_WIDTH).sum::<f64>();
        }
        Ok(())
    }
}

impl Panel {
    fn height(&self) -> f64 {
        match self {
            Self::Lines(_) => lines::HEIGHT,
            Self::Bars(bars) => bars.height(),
        }
    }

    fn write(&self, out: &mut String, series: &[Series], (x, y): (f64, f64)) -> fmt::Result {
        let title = match self {
            Self::Lines(lines) => &lines.title,
            Self::Bars(bars) => &bars.title,
        };
        let (left, base, title) = (x + MARGIN, y + 14.0, escape(title));
        writeln!(out, "<text x=\"{left}\" y=\"{base}\" font-weight=\"bold\">{title}</text>")?;
        match self {
            Self::Lines(lines) => lines.write(out, series, (x, y)),
            Self::Bars(bars) => bars.write(out, series, (x, y)),
        }
    }
}

impl Series {
    fn new(name: impl Into<String>, colour: &'static str, dashed: bool) -> Self {
        Self { name: name.into(), colour, dashed }
    }

    fn stroke(&self) -> String {
        let dashes = if self.dashed { " stroke-dasharray=\"5 3\"" } else { "" };
        format!("fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{dashes}", self.colour)
    }
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: Anchor, text: &str) -> fmt::Result {
    let anchor = match anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\"{anchor}>{}</text>", escape(text))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A number in three digits at most, with k for thousands and M for millions.
fn short(number: f64) -> String {
    let (number, unit) = match number.abs() {
        ..999.5 => (number, ""),
        999.5..999_500.0 => (number / 1e3, " k"),
        _ => (number / 1e6, " M"),
    };
    let places = match number.abs() {
        ..0.0095 => 3,
        0.0095..9.95 => 2,
        9.95..99.5 => 1,
        _ => 0,
    };
    let digits = format!("{number:.places$}");
    let digits = if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        &digits
    };
    format!("{digits}{unit}")
}

#[cfg(test)]
mod tests {
    use super::axis::Axis;
    use super::*;

    #[test]
    fn numbers_are_short() {
        let short =
            [0.0, 0.004, 0.25, 7.0, 12.34, 456.0, 999.7, 1_000.0, 12_345.0, 2.5e6, 2e8].map(short);
        let expected =
            ["0", "0.004", "0.25", "7", "12.3", "456", "1 k", "1 k", "12.3 k", "2.5 M", "200 M"];
        assert_eq!(short, expected);
    }

    #[test]
    fn a_sheet_is_as_high_as_its_rows_of_two() {
        let panel = |title: &str| {
            Panel::Lines(Lines {
                title: title.to_owned(),
                x: Axis::log("x", [1.0, 10.0]),
                y: Axis::linear("y", [1.0]),
                points: vec![vec![(1.0, 1.0)]],
            })
        };
        let bars = |groups| Bars::new("bars", vec![("one".to_owned(), vec![Some(1.0)]); groups]);
        let (low, high) = (bars(1), bars(40));
        let expected = MARGIN + HEAD_HEIGHT + lines::HEIGHT + high.height();
        let panels = vec![panel("a < b"), Panel::Bars(low), Panel::Bars(high)];
        let series = vec![Series::new("Blaze", ORANGE, false)];
        let svg = Sheet { title: "all".to_owned(), series, panels }.svg();
        assert!(svg.contains(&format!("viewBox=\"0 0 860 {expected}\"")), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains(">Blaze<"), "{svg}");
    }
}
