"""A data set made of a folder of pictures: what was written before, cutting, and the report."""
