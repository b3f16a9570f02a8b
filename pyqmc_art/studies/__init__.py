"""Declared questions: a configuration, findings, figure data."""
