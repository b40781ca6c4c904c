"""Hostile networks through everything that mcusim does with a file: see `command.py`, and docs/hostile-files.md."""
