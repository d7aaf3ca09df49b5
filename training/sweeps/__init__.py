"""Grids of training runs: configuration, runs, measurements and conclusions."""
