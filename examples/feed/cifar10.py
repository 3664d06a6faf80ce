"""CIFAR-10 as a Sequence, as in Keras's documentation: `millrace feed cifar --exec 'python3 cifar10.py FOLDER'`.

FOLDER holds CIFAR-10's binary files (data_batch_1.bin, ...): a byte of label, then red, green, blue of 32 x 32 pixels.
"""
import math
import pathlib
import random
import sys

import feed

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
PIXELS = 32 * 32


class CIFAR10Sequence:
    """Would be a keras.utils.Sequence (PyDataset); nothing of it is needed but these three functions."""

    def __init__(self, records, batch_size, seed=0):
        self.records, self.batch_size = records, batch_size
        self.order, self.random = list(range(len(records))), random.Random(seed)

    def __len__(self):
        return math.ceil(len(self.records) / self.batch_size)

    def __getitem__(self, index):
        low = index * self.batch_size
        batch = [self.records[i] for i in self.order[low:low + self.batch_size]]
        pictures = bytearray()
        for record in batch:
            planes = [record[1 + k * PIXELS:1 + (k + 1) * PIXELS] for k in range(3)]
            pictures += bytes(value for pixel in zip(*planes) for value in pixel)
        x = memoryview(pictures).cast("B", (len(batch), 32, 32, 3))
        return x, [record[0] for record in batch]

    def on_epoch_end(self):
        self.random.shuffle(self.order)


def main():
    data = b"".join(path.read_bytes() for path in sorted(pathlib.Path(sys.argv[1]).glob("*.bin")))
    size = 1 + 3 * PIXELS
    records = [data[i:i + size] for i in range(0, len(data), size)]
    batch_size = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    feed.serve(feed.Sequence(CIFAR10Sequence(records, batch_size), by_epoch=True, classes=CLASSES))


if __name__ == "__main__":
    main()
