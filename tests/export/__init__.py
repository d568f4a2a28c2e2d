"""Tests of `codesign.export`."""
