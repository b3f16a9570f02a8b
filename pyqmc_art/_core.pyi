"""What ``csrc/module.cpp`` binds, one declaration for each ``m.def``."""
