"""Are two ensembles the same distribution? One judge for fields and for pictures, and what its weights can repair."""
