"""Kernels that are as exact as those one floor up, and as fast as an optimised desktop runtime.

A run of steps becomes a program: commands one after the other, each a kernel's address and its fields. `driver.run`
walks over it in one call of compiled code.

One step on its way to the processor:

    step of the Program          CONV_2D, rows 0 to 7 of 14, its arrays in the arena
      |  encode                  once for a session: offset tables, packed weights, or Declined
      v
    Command(kernel, fields)      conv, (address of row 0, pitch, height, ..., address of the weights, ...)
      |  driver.program          the address of the kernel, the number of fields, the fields: int64 each
      v
    [conv, 30, f0 ... f29][add, 14, f0 ... f13][move, 15, ...]
      |  driver.run              one call for all of it, without Python in between
      v
    int8 in the arena

    vector      LLVM vector code, and the kernel set that the host runs     memory   bytes at addresses
    tile        the matrix multiply                                         packing  weights as vectors read them
    command     what encoders make                                          driver   runs a program

The other modules are named like those one floor up: `encode` in `fast/conv_2d.py` turns a step that `conv_2d.py` would
run into commands, or declines, and then the step runs there. An operator without such a module always does.
"""
