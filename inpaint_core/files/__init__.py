"""Pictures and clips on disk, and writing that leaves no half-written file."""
