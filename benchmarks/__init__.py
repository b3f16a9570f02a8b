"""Benchmarks: each answer is judged first, and only then is a time reported. ``python -m benchmarks`` runs all."""
