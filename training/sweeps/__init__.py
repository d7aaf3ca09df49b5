"""Grids of trainings: what is varied, how each is run and measured, and what follows from it."""
