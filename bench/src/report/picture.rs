//! The comparison as a picture (SVG 1.1): a bar for each row, as long as ours is cheaper.

use std::fmt::Write;

use crate::comparison::Row;
use crate::report::Verdict;

const LEFT: f64 = 330.0;
const WIDTH: f64 = 820.0;
const LINE: f64 = 26.0;
const TOP: f64 = 56.0;

pub(super) fn draw(rows: &[Row]) -> Result<String, std::fmt::Error> {
    let rows: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.ratio()?)))
        .collect();
    let largest = rows
        .iter()
        .flat_map(|(row, ratio)| [ratio.max, row.target.unwrap_or(0.0)])
        .fold(1.0, f64::max);
    let unit = (WIDTH - LEFT - 60.0) / largest;
    let height = TOP + LINE * rows.len() as f64 + 34.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"16\" fill=\"#222222\">Server processor time of one \
         operation: how many times less than the best peer needs</text>\n\
         <text x=\"16\" y=\"42\" fill=\"#666666\">bar: median over the rounds; thin line: smallest \
         to largest; black mark: target</text>\n"
    );
    for (index, (row, ratio)) in rows.iter().enumerate() {
        let y = TOP + LINE * index as f64;
        let colour = match row.verdict() {
            Verdict::Met => "#2e7d32",
            Verdict::NoTarget => "#78909c",
            Verdict::NotMet => "#c62828",
        };
        let middle = y + 9.0;
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#222222\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"18\" fill=\"{colour}\"/>\n\
             <path d=\"M{:.1} {middle}H{:.1}\" stroke=\"#222222\" stroke-width=\"1\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#222222\">{:.2}</text>",
            LEFT - 8.0,
            y + 14.0,
            row.title,
            ratio.median * unit,
            LEFT + ratio.min * unit,
            LEFT + ratio.max * unit,
            LEFT + ratio.max.max(row.target.unwrap_or(0.0)) * unit + 6.0,
            y + 14.0,
            ratio.median,
        )?;
        if let Some(target) = row.target {
            let x = LEFT + target * unit;
            writeln!(
                svg,
                "<path d=\"M{x:.1} {}v22\" stroke=\"#000000\" stroke-width=\"2\"/>",
                y - 2.0
            )?;
        }
    }
    let x = LEFT + unit;
    let bottom = height - 30.0;
    writeln!(
        svg,
        "<path d=\"M{x:.1} {}V{bottom}\" stroke=\"#222222\" stroke-dasharray=\"3 3\"/>\n\
         <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666666\">as dear as the best \
         peer</text>\n</svg>",
        TOP - 4.0,
        height - 14.0
    )?;
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::comparison::Figures;

    #[test]
    fn a_bar_shows_the_ratio() {
        let figures = |cost_us| Figures {
            cost_us,
            rate: 1.0,
            p50_ms: 1.0,
            p99_ms: 1.0,
            longest_ms: 1.0,
            operations: 1,
            failures: BTreeMap::new(),
        };
        let rounds = [
            ("orca-gateway", vec![figures(10.0)]),
            ("nginx", vec![figures(25.0)]),
            ("haproxy", vec![figures(30.0)]),
        ];
        let row = Row {
            id: "x",
            title: "case x",
            target: Some(2.0),
            rounds: rounds.into_iter().collect(),
        };
        let svg = draw(&[row]).unwrap();
        for part in ["case x", ">2.50<", "#2e7d32", "</svg>"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }
}
