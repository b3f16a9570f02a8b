"""What all trained makers of pictures share: what they learn from, how long, what is shown and written on the way."""
