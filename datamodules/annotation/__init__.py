"""Masks that are asked for: of whom, of which frames, and at most how many."""
