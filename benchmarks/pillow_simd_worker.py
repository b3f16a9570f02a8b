"""The other process of pillow-simd, which has Pillow's name: run by the interpreter of its own environment.

It needs nothing but the standard library and PIL. The first line of its input says what the picture is (JSON), the
picture's bytes follow; then each line ``run`` makes all patches and answers with the CPU time it took, each line
``show`` answers with the patches, bytes after one another.
"""

from __future__ import annotations

import json
import sys
import time

from PIL import Image


def main() -> None:
    """Serve until the input ends."""
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    task = json.loads(given.readline())
    width, height = task["shape"]
    whole = Image.frombytes(task["mode"], (width, height), given.read(task["bytes"]))
    size, boxes = (task["size"], task["size"]), [tuple(box) for box in task["boxes"]]
    cuts: list[Image.Image] = []
    while word := given.readline().strip():
        if word == b"run":
            before = time.process_time()
            cuts = [whole.resize(size, Image.Resampling.BICUBIC, box=box) for box in boxes]
            answers.write(f"{time.process_time() - before}\n".encode())
        else:
            answers.write(b"".join(cut.tobytes() for cut in cuts))
        answers.flush()


if __name__ == "__main__":
    main()
