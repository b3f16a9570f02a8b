"""Variational autoencoders of pictures: makers of pictures themselves, and what latent diffusion works on."""
