//! Columns of text, each as wide as its widest cell.

/// Rows under a head. The last column is not padded, so that no line ends with blanks.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(ToString::to_string).collect()],
        }
    }

    /// Adds a row; it has as many cells as the head.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(move |row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        self.rows.iter().map(move |row| {
            let padded = |(cell, width): (&String, &usize)| format!("{cell:width$}");
            let cells: Vec<String> = row.iter().zip(&widths).map(padded).collect();
            cells.join("  ").trim_end().to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_heads() {
        let mut table = Table::new(&["NAME", "PORT"]);
        table.row(["portmapper".to_owned(), "111".to_owned()]);
        table.row(["nfs".to_owned(), String::new()]);
        let lines: Vec<String> = table.lines().collect();
        assert_eq!(lines, ["NAME        PORT", "portmapper  111", "nfs"]);
    }
}
