"""Tests of runs on other storages."""
