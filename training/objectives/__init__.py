"""Objectives, one file each, and the registry that finds them by their settings."""

from .registry import OBJECTIVES, build_objective, objective_class, register

__all__ = ["OBJECTIVES", "build_objective", "objective_class", "register"]
