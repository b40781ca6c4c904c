"""Graph + schedule + the rules of a runtime -> Program: what is folded, how stages are cut, in which order."""
