"""Makers of pictures that undo noise, autoencoders, and Stable Diffusion from a local directory."""
