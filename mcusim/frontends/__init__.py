"""What becomes a Graph: model files, descriptions as plain data, and calls of a builder."""
