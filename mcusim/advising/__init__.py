"""What to change when a network does not fit: remedies, and receptive fields redistributed."""
