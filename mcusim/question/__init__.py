"""What is asked: one value for network, board, runtime, schedule and budgets (`question`), and each name looked up and
checked once (`arguments`)."""
