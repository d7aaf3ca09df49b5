"""Training jobs over `inpaint_core`: configuration, data, the one loop, exact resume."""
