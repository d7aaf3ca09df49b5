"""Pictures and clips on disk, written atomically."""
