//! Tables: aligned for people, comma-separated for programs.

use serde::Serialize;

/// Columns with two blanks between them, headings first: the first `words` of them flush left, the others flush right.
pub fn aligned<const N: usize>(
    headings: &[&str; N],
    words: usize,
    rows: impl Iterator<Item = [String; N]> + Clone,
) -> String {
    let width = |column: usize| {
        let cells = rows.clone().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |cells: &[String; N]| {
        let cell = |(column, cell): (usize, &String)| match widths[column] {
            width if column < words => format!("{cell:<width$}"),
            width => format!("{cell:>width$}"),
        };
        let cells: Vec<String> = cells.iter().enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    std::iter::once(headings.map(String::from)).chain(rows.clone()).map(|cells| line(&cells)).collect()
}

/// A line a row under a line of the fields' names; what is not known is empty.
///
/// # Panics
/// If `rows` are not structs of plain fields.
pub fn csv(rows: &[impl Serialize]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.iter().for_each(|row| writer.serialize(row).expect("a struct of plain fields is a line"));
    let bytes = writer.into_inner().expect("memory takes what is written");
    String::from_utf8(bytes).expect("text from text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_flush_left_and_numbers_right() {
        let rows = [["q8", "1.5"], ["q4+head=q8", "10"]].map(|row| row.map(String::from));
        let text = aligned(&["format", "± bits"], 1, rows.into_iter());
        assert_eq!(text, "format      ± bits\nq8             1.5\nq4+head=q8      10\n");
    }

    #[test]
    fn what_is_not_known_is_empty() {
        #[derive(Serialize)]
        struct Row {
            name: &'static str,
            kl: Option<f64>,
        }
        let text = csv(&[Row { name: "a,b", kl: Some(7.5e-5) }, Row { name: "c", kl: None }]);
        assert_eq!(text, "name,kl\n\"a,b\",0.000075\nc,\n");
    }
}
