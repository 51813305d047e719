"""Converts the pytorch_model.bin of a Hugging Face folder into the model.safetensors that the library opens. usage: convert_pytorch.py FOLDER

Needs torch. The file is a pickle, which can run code when it is read: torch reads it with weights_only, and tensors alone come out.
"""
import json
import pathlib
import struct
import sys

import torch

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def to_bytes(tensor: torch.Tensor) -> bytes:
    flat = tensor.contiguous().flatten()
    return (flat if flat.dtype == torch.float32 else flat.view(torch.int16)).numpy().tobytes()


def convert(folder: pathlib.Path) -> None:
    tensors = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
    header, offset, kept = {"__metadata__": {"format": "pt"}}, 0, []
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        if tensor.dtype not in TYPES:
            continue  # masks of older versions
        if name == "lm_head.weight" and any(key.endswith(("wte.weight", "embed_tokens.weight")) and torch.equal(tensor, other) for key, other in tensors.items()):
            continue  # the embedding once more
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
        kept.append(tensor)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    temporary = folder / "model.safetensors.new"
    with open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in kept:
            file.write(to_bytes(tensor))
    temporary.replace(folder / "model.safetensors")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    convert(pathlib.Path(sys.argv[1]))
