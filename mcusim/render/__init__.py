"""Terminal views: pure functions from values to lines of text. Nothing here prints."""
