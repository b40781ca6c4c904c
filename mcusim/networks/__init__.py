"""Any name or file of a network -> Graph, and back to a file."""
