"""Search transformer shapes and accelerators together."""

__version__ = "0.1.0"
