"""All methods side by side: the image sets, the methods, the grid of cells, one measurement, and the table."""
