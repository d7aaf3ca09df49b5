"""Confidence intervals of means."""

from __future__ import annotations

CONFIDENCE = 0.95


def student_quantile(degrees: int) -> float:
    """Half the width of a mean's interval in standard errors, for this many degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + CONFIDENCE / 2))
