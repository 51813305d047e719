#!/usr/bin/env python3
"""Makes blocks.txt: numbers in GGUF's types and what llama.cpp's own Python library (gguf) reads in them. usage: make_blocks.py. Needs numpy and gguf.

For each type a line "name bytes floats", the bytes as they lie in a file, and the floats that they stand for, both in hexadecimal. Two rows of 64.
"""
import pathlib

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize

values = (np.random.default_rng(1).standard_normal((2, 64)) * 0.3).astype(np.float32)
values[0, :32] = 0
values[1, 3] = -7
with open(pathlib.Path(__file__).with_name("blocks.txt"), "w") as file:
    for name in ("Q8_0", "Q4_0", "F16", "BF16"):
        kind = GGMLQuantizationType[name]
        blocks = values.astype(np.float16) if name == "F16" else quantize(values, kind)
        floats = dequantize(blocks, kind).astype(np.float32)
        file.write(f"{name} {blocks.nbytes} {floats.size}\n{blocks.tobytes().hex()}\n{floats.tobytes().hex()}\n")
