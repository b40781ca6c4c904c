"""What several conventions share; these files register nothing."""
