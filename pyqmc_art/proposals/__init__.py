"""Learned proposals: they draw fields whose density they know; one kernel of the lattice wing makes them exact."""
