"""Runs whose record is kept on another storage than a directory: any URL that fsspec knows."""
