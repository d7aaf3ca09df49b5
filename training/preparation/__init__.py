"""Preparing a dataset from a folder of pictures: the ledger, cutting, and the report."""
