"""Which C kernel serves a signature: what `choice.py` decides by, a file for each kind of operator."""
