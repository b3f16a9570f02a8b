"""Lattices, actions, observables, kernels and the sampling loop."""
