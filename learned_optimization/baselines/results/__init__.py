"""Result files and archives: found, read, written, counted and compared."""
