"""Regression gates: what grew from one report to another, and networks held against budgets of their own."""
