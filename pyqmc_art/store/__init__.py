"""Files of a run: ``run.h5`` with its measurements and fields, and the kernel state beside it."""
