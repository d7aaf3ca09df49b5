"""Completers measured on the same pictures with the same holes: the pairs, the scores, what was found."""
