"""Cycles: what a runtime's kernels take on a board, from measured networks, counted instructions and a regression.

efforts.py       Work -> amounts of thirteen kinds of effort
physics.py       what an effort costs where nobody measured: counted instructions and a core's timing
systems.py       what was measured on what: runtime, version, core, series, board, and what systems share
measurements.py  published measurements and the layers of the networks measured, as data with sources
regression.py    measured cycles + physics -> cycles of an effort on any system, with their covariance
fitting.py       makes a fit from measurements, stores it, scores it with networks left out
stored.py        the fit that the package ships
"""
