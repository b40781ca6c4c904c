"""Kernels that are as exact as those one floor up, and as fast as an optimised desktop runtime.

A run of steps becomes a program: commands one after the other, each a kernel's address and its fields. `driver.run`
walks over it in one call of compiled code.

    vector      LLVM vector code, and the kernel set that the host runs     memory   bytes at addresses
    tile        the matrix multiply                                         packing  weights as vectors read them
    command     what encoders make                                          driver   runs a program

The other modules are named like those one floor up: `encode` in `fast/conv_2d.py` turns a step that `conv_2d.py` would
run into commands, or declines, and then the step runs there. An operator without such a module always does.
"""
