"""The run folder, its lock, and the states that a run resumes from."""
