"""Training jobs on top of `inpaint_core`: configuration, data, the training loop, exact resume."""
