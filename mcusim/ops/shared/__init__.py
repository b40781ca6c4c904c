"""What several operators share. These modules register no operator."""
