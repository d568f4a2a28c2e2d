"""Tests of the search loop, its algorithms and its operators."""
