//! The figures of one row as a picture, in plain SVG.
//!
//! Nothing lies behind the bars, and all colours are of a middle brightness, so that
//! it can be read on a light and on a dark page.

use std::fmt::Write as _;

use crate::report::number;
use crate::results::{BLAZE, Cell, Figure, Row};
use crate::workload::Workload;

const PANELS: [(Figure, &str); 4] = [
    (Figure::Raw, "Bytes an operation"),
    (Figure::Encode, "Encoding, ns an operation"),
    (Figure::Decode, "Decoding, ns an operation"),
    (Figure::Walk, "Walking in place, ns an operation"),
];

const PANEL_WIDTH: f64 = 430.0;
const MARGIN: f64 = 16.0;
const TITLE_HEIGHT: f64 = 30.0;
const LINE_HEIGHT: f64 = 20.0;
const BAR_HEIGHT: f64 = 13.0;
const NAME_WIDTH: f64 = 118.0;
/// For the figure behind the longest bar.
const NUMBER_WIDTH: f64 = 52.0;

const TEXT: &str = "#787878";
const BLAZE_COLOUR: &str = "#d9480f";
const PEER_COLOUR: &str = "#7b8fa8";

/// A picture of the issues in their largest batch, or of the last row, if they
/// weren't measured.
pub(crate) fn svg(rows: &[Row]) -> String {
    let issues = |row: &&Row| row.workload == Workload::Bug && row.batch == 1_000;
    let Some(row) = rows.iter().find(issues).or(rows.last()) else { return String::new() };
    let mut out = String::new();
    write_svg(&mut out, row).expect("a String takes everything");
    out
}

fn write_svg(out: &mut String, row: &Row) -> std::fmt::Result {
    let lines = row.cells.iter().fold(0.0, |lines, _| lines + 1.0);
    let panel_height = TITLE_HEIGHT + lines * LINE_HEIGHT + MARGIN;
    let (width, height) = (2.0 * PANEL_WIDTH, MARGIN + TITLE_HEIGHT + 2.0 * panel_height);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"12\" fill=\"{TEXT}\">"
    )?;
    writeln!(
        out,
        "<text x=\"{MARGIN}\" y=\"{}\" font-size=\"16\">{}, less is better</text>",
        MARGIN + 10.0,
        row.name()
    )?;
    writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">dashed: not validated; *: walks what it \
         decodes</text>",
        width - MARGIN,
        MARGIN + 10.0
    )?;
    for (number, (figure, title)) in PANELS.into_iter().enumerate() {
        let x = if number % 2 == 0 { 0.0 } else { PANEL_WIDTH };
        let y = MARGIN + TITLE_HEIGHT + if number < 2 { 0.0 } else { panel_height };
        write_panel(out, row, figure, title, (x + MARGIN, y))?;
    }
    writeln!(out, "</svg>")
}

/// Bars in the order of their figures, the best first.
fn write_panel(
    out: &mut String,
    row: &Row,
    figure: Figure,
    title: &str,
    (x, y): (f64, f64),
) -> std::fmt::Result {
    let mut bars: Vec<_> =
        row.cells.iter().filter_map(|cell| Some((cell, *cell.figures.get(&figure)?))).collect();
    bars.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let Some((_, longest)) = bars.last().copied() else { return Ok(()) };
    writeln!(out, "<text x=\"{x}\" y=\"{}\" font-weight=\"bold\">{title}</text>", y + 14.0)?;
    let full = PANEL_WIDTH - 2.0 * MARGIN - NAME_WIDTH - NUMBER_WIDTH;
    let (start, mut top) = (x + NAME_WIDTH, y + TITLE_HEIGHT);
    for (cell, value) in bars {
        let (length, base) = ((full * value / longest).max(1.0), top + BAR_HEIGHT - 2.0);
        let weight = if cell.format == BLAZE { "bold" } else { "normal" };
        writeln!(
            out,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>\
             <rect x=\"{start}\" y=\"{top}\" width=\"{length:.1}\" height=\"{BAR_HEIGHT}\" {}/>\
             <text x=\"{:.1}\" y=\"{base}\" font-weight=\"{weight}\">{}</text>",
            start - 6.0,
            label(cell, figure),
            paint(cell),
            start + length + 5.0,
            number(value)
        )?;
        top += LINE_HEIGHT;
    }
    Ok(())
}

fn label(cell: &Cell, figure: Figure) -> String {
    let copies = figure == Figure::Walk && !cell.in_place;
    format!("{}{}", cell.format, if copies { "*" } else { "" })
}

/// What isn't safe has an outline only.
fn paint(cell: &Cell) -> String {
    match (cell.format, cell.safe) {
        (BLAZE, _) => format!("fill=\"{BLAZE_COLOUR}\""),
        (_, true) => format!("fill=\"{PEER_COLOUR}\""),
        (_, false) => format!("fill=\"none\" stroke=\"{PEER_COLOUR}\" stroke-dasharray=\"3 2\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{JSON, tests::row};

    #[test]
    fn bars_stand_in_the_order_of_their_figures() {
        let cells = [(JSON, [400.0; 7]), (BLAZE, [100.0; 7]), ("reckless", [50.0; 7])];
        let svg = svg(&[row(Workload::Bug, 1_000, &cells)]);
        let places: Vec<_> = ["reckless", "Blaze", "serde_json"].map(|name| svg.find(name)).into();
        assert!(places.is_sorted() && places[0].is_some(), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 3 * PANELS.len());
        let full = PANEL_WIDTH - 2.0 * MARGIN - NAME_WIDTH - NUMBER_WIDTH;
        assert!(svg.contains(&format!("width=\"{:.1}\"", full / 4.0)), "{svg}");
        assert_eq!(svg.matches("stroke-dasharray").count(), PANELS.len());
    }

    #[test]
    fn nothing_measured_is_no_picture() {
        assert_eq!(svg(&[]), "");
    }
}
