//! What has changed from one measurement to another, or what one server does that another does not.

use std::fmt;

use crate::measure::Figures;
use crate::report::{Measured, Report, Row, or_dash};

/// One server's figures divided by another's, scenario by scenario.
#[derive(Debug)]
pub struct Ratios<'a> {
    /// Whose figures stand above the line.
    pub of: (&'a str, &'a Measured),
    /// Whose figures stand below it.
    pub to: (&'a str, &'a Measured),
}

/// The second report's servers in relation to the first's: each to the one of its name, or to the only one there is.
pub fn reports<'a>(
    (first, a): (&'a str, &'a Report),
    (second, b): (&'a str, &'a Report),
) -> Vec<Ratios<'a>> {
    let partner = |server: &Measured| match a.servers.as_slice() {
        [only] if b.servers.len() == 1 => Some(only),
        several => several.iter().find(|other| other.name == server.name),
    };
    let pairs = b.servers.iter().filter_map(|server| Some((server, partner(server)?)));
    pairs.map(|(server, other)| Ratios { of: (second, server), to: (first, other) }).collect()
}

/// The servers of one report in relation to the first of them.
pub fn within(report: &Report) -> Vec<Ratios<'_>> {
    let Some((first, others)) = report.servers.split_first() else {
        return Vec::new();
    };
    others.iter().map(|other| Ratios { of: ("", other), to: ("", first) }).collect()
}

/// The rows of both, as far as both have figures.
fn common<'a>(ratios: &Ratios<'a>) -> Vec<(&'a Row, &'a Row)> {
    let partner = |row: &Row| {
        let same = |other: &&Row| other.scenario == row.scenario && other.figures.is_some();
        ratios.to.1.rows.iter().find(same)
    };
    let rows = ratios.of.1.rows.iter().filter(|row| row.figures.is_some());
    rows.filter_map(|row| Some((row, partner(row)?))).collect()
}

impl fmt::Display for Ratios<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |(file, server): (&str, &Measured)| {
            format!("{file} {}", server.name).trim_start().to_owned()
        };
        writeln!(f, "{}, divided by {}:\n", name(self.of), name(self.to))?;
        let columns = "scenario | op/s | p50 | p95 | p99 | CPU/op | peak memory | disk/op";
        writeln!(f, "| {columns} |\n|---|--:|--:|--:|--:|--:|--:|--:|")?;
        common(self).into_iter().try_for_each(|(of, to)| writeln!(f, "{}", line(of, to)))
    }
}

fn line(of: &Row, to: &Row) -> String {
    let figure = |figure: fn(&Figures) -> Option<f64>| {
        let both = of.figures.as_ref().and_then(figure).zip(to.figures.as_ref().and_then(figure));
        or_dash(both.and_then(ratio))
    };
    let cells = [
        figure(|figures| Some(figures.throughput)),
        figure(|figures| Some(figures.p50 as f64)),
        figure(|figures| Some(figures.p95 as f64)),
        figure(|figures| Some(figures.p99 as f64)),
        figure(|figures| figures.cpu),
        or_dash(of.peak_memory.zip(to.peak_memory).and_then(|(a, b)| ratio((a as f64, b as f64)))),
        or_dash(of.disk.zip(to.disk).and_then(ratio)),
    ];
    format!("| {} | {} |", of.scenario, cells.join(" | "))
}

/// Nothing is a multiple of nothing.
fn ratio((of, to): (f64, f64)) -> Option<String> {
    let ratio = (to > 0.0).then_some(of / to)?;
    Some(if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{figures, measured, report, row};

    fn named(scenario: &str, throughput: f64, cpu: Option<f64>) -> Row {
        Row::measured(scenario.into(), 3, figures(throughput, cpu), Some(100), None)
    }

    #[test]
    fn figures_are_divided_where_both_have_them() {
        let a = report(vec![measured("a", vec![named("send", 100.0, Some(300.0)), row(None)])]);
        let b = report(vec![measured("b", vec![named("send", 250.0, Some(3.0))])]);
        let ratios = reports(("a.json", &a), ("b.json", &b));
        let text = ratios[0].to_string();
        assert!(text.starts_with("b.json b, divided by a.json a:\n"), "{text}");
        let line = "| send | 2.50 | 1.00 | 1.00 | 1.00 | 0.01 | 1.00 | – |\n";
        assert!(text.ends_with(line), "{text}");
        assert_eq!(ratios.len(), 1);
    }

    #[test]
    fn scenarios_that_failed_or_were_not_done_are_left_out() {
        let failed = Row::failed("send".into(), 3, 1, "lost".into());
        let check = |ours: Row, theirs: Row, expected: usize| {
            let both = report(vec![measured("a", vec![ours]), measured("b", vec![theirs])]);
            assert_eq!(common(&within(&both)[0]).len(), expected);
        };
        check(row(None), row(None), 1);
        check(failed.clone(), row(None), 0);
        check(row(None), failed, 0);
        check(row(None), named("login", 1.0, None), 0);
    }

    #[test]
    fn servers_are_compared_with_those_of_their_name() {
        let server = |name: &str| measured(name, vec![row(None)]);
        let (one, two) = (report(vec![server("a")]), report(vec![server("a"), server("b")]));
        let pairs = |a, b| {
            let ratios = reports(("", a), ("", b)).into_iter();
            let names = ratios.map(|ratios| (ratios.to.1.name.clone(), ratios.of.1.name.clone()));
            names.collect::<Vec<_>>()
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(pairs(&one, &two), [pair("a", "a")]);
        assert_eq!(pairs(&two, &two), [pair("a", "a"), pair("b", "b")]);
        assert_eq!(pairs(&one, &report(vec![server("c")])), [pair("a", "c")]);
    }

    #[test]
    fn within_a_report_the_first_server_is_the_measure() {
        assert!(within(&report(Vec::new())).is_empty());
        let both = report(vec![measured("a", Vec::new()), measured("b", Vec::new())]);
        assert!(within(&both)[0].to_string().starts_with("b, divided by a:\n"));
    }

    #[test]
    fn a_ratio_needs_something_to_divide_by() {
        assert_eq!(ratio((1.0, 0.0)), None);
        assert_eq!(ratio((1.0, 3.0)).unwrap(), "0.33");
        assert_eq!(ratio((100.0, 3.0)).unwrap(), "33");
    }
}
