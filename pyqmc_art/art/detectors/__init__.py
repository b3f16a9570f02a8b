"""Detectors: what a picture shows (an extractor), and one line through it (a head)."""
