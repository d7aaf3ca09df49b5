"""Parts of `training.collect`."""
