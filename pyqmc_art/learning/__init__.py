"""The one training loop of both wings, its checkpoints, its price, and model directories."""
