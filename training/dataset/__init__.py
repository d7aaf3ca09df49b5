"""Folders of pictures turned into batches."""
