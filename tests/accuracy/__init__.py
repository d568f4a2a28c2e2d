"""Tests of codesign.accuracy."""
