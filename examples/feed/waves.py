"""A generator: `millrace feed waves --exec 'python3 waves.py 1000'` pushes so many sine waves with noise, low or high."""
import array
import math
import random
import sys

import feed


def waves(n):
    draw = random.Random(1)
    for _ in range(n):
        label = draw.randrange(2)
        turns, start = (draw.uniform(1, 3), draw.uniform(5, 8))[label], draw.random()
        yield array.array("f", [math.sin(6.2832 * (start + turns * i / 64)) + draw.gauss(0, 0.2) for i in range(64)]), label


if __name__ == "__main__":
    count = int(sys.argv[1])
    feed.serve(feed.Generator(lambda: waves(count), classes=["low", "high"]))
