"""mcusim's own C: which kernel serves a step, what it stores and works in, and the text that a Program becomes.

`choice.py` decides; the planner, the flash ledger, the prices and the emitter all read it and decide nothing again.
"""
