//! Columns as kubectl prints them.

/// Returns the rows under their headings, columns three spaces apart, an empty cell as `<none>`.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let shown = |cell: &str| if cell.is_empty() { "<none>".to_owned() } else { cell.to_owned() };
    let mut lines = vec![headings.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| row.each_ref().map(|cell| shown(cell))));
    let widths: [usize; N] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default());
    let padded = |line: &[String; N]| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(padded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["é".to_owned(), String::new()], ["long".to_owned(), "x".to_owned()]];
        assert_eq!(table(["A", "B"], &rows), "A      B\né      <none>\nlong   x\n");
    }
}
