//! Columns as kubectl prints them.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

/// Returns the rows under their headings, columns three spaces apart, an empty cell as `<none>`.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut text = vec![];
    write_table(&mut text, headings, || rows.iter().cloned()).expect("memory takes everything");
    String::from_utf8(text).expect("it was made of texts")
}

/// Writes a table as [`table`] does; the rows are made twice and never kept.
pub(super) fn write_table<const N: usize, R: Iterator<Item = [String; N]>>(
    out: &mut impl Write,
    headings: [&str; N],
    rows: impl Fn() -> R,
) -> io::Result<()> {
    let shown =
        |row: [String; N]| row.map(|cell| if cell.is_empty() { "<none>".to_owned() } else { cell });
    let lines = || std::iter::once(headings.map(str::to_owned)).chain(rows().map(shown));
    let mut widths = [0; N];
    for line in lines() {
        widths = std::array::from_fn(|column| widths[column].max(line[column].width()));
    }
    for line in lines() {
        let cells = line.iter().zip(widths).map(|(cell, width)| padded(cell, width));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("   ").trim_end())?;
    }
    Ok(())
}

/// Fills a cell up to a width. `{:width$}` would count characters, of which a terminal shows some
/// two columns wide and some not at all.
fn padded(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["é".to_owned(), String::new()], ["long".to_owned(), "x".to_owned()]];
        assert_eq!(table(["A", "B"], &rows), "A      B\né      <none>\nlong   x\n");
    }

    #[test]
    fn a_width_is_that_on_the_terminal() {
        let row = |name: &str| [name.to_owned(), "x".to_owned()];
        let rows = [row("山田"), row("e\u{301}a"), row("abcd")];
        assert_eq!(table(["A", "B"], &rows), "A      B\n山田   x\ne\u{301}a     x\nabcd   x\n");
    }
}
