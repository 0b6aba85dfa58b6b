"""What people and scripts read: sizes, times, tables and rows, as Docker writes them."""
