"""Evaluation of Completers on the same pictures with the same holes: pairs, scores and report."""
