"""Graph + schedule + the rules of a runtime -> Program: what is folded, how stages are cut, in which order.

rules.py         what a runtime folds, renames and does in place, as values
lower.py         the whole way, step by step
folding.py       nodes that are never carried out
staging.py       which region of each tensor a piece computes: halos, recomputed or carried in line buffers
addressing.py    where each operand lies in each piece: the offsets of line buffers
preparing.py     the integers that steps compute with
variables.py     states and resources that outlive an inference
linking.py       subgraphs, planned with the network that enters them
borders.py       where a node and the subgraphs that it enters do not go together
reorder.py       another order with a lower peak
nearest.py       the legal schedule that is most like one that cannot run
moulds.py        a Program cast from that of a network that is wired alike
"""
