"""Callbacks of training: each is called with every event (see `training.events`) and does one thing."""
