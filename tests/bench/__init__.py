"""Tests of codesign.bench."""
