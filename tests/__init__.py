"""Tests, one module a module of `codesign`; helpers are `strategies` and the networks that count independently."""
