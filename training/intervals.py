"""Intervals of means."""

from __future__ import annotations

CONFIDENCE = 0.95


def student_quantile(degrees: int) -> float:
    """By how many standard errors a mean's interval reaches to either side, with so many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))
