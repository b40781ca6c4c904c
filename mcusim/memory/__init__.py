"""What a Program takes: SRAM bank by bank, flash item by item, plans beside their optimum, other ways of counting.

placement.py        the offset of every buffer, by a runtime's planner
planning.py         one network's arena beside the smallest one
accounting.py       the SRAM and flash of a report, against their budgets
banks.py            which buffers lie in which memory bank
flash.py            flash, item by item: model, kernels, runtime
linked_firmware.py  what a linked ELF or map file takes; linked_code.py, linkage.py, thumb.py: whose code it is
sharing.py          several networks in one arena
counting.py         other runtimes and published ways of counting
tflm_header.py      a C header for a TFLM project
"""
