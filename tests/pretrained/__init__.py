"""Tests of codesign.pretrained."""
