"""Grids of trainings: configuration, runs, measurements and conclusions."""
