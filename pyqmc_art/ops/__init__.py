"""Compiled operations: name -> backend -> function."""
