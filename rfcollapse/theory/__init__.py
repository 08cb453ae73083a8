"""Closed forms: float64, no randomness, no training, no plotting."""
