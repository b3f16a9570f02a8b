"""Judgements and cases that tests, benchmarks and ``verify`` share."""
