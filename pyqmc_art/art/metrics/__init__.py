"""How good made pictures are: each number with an error, and with the name of what looked at the pictures."""
