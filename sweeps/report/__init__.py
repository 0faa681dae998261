"""The report of a study: one page that opens from a file, the curve as a table and as a picture."""
