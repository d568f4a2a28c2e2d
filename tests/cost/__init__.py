"""Tests of codesign.cost."""
