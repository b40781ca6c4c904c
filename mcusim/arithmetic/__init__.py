"""Integers as C computes them: quantisation, fixed point, packed elements, libm."""
