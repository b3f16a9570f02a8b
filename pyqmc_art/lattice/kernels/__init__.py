"""Markov kernels; each leaves exp(-S) of its action invariant."""
