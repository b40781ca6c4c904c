"""The two edges where users meet mcusim, Python and the shell.

Calls are looked at once (`calling`); options are spelt as each side spells them (`wording`).
"""
