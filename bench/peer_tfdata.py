#!/usr/bin/env python3
"""tf.data beside a millrace worker: peer_tfdata.py WORK FOLDER SECONDS, one JSON object with rows a second and the share of CPU time.

One thread of tf.data's own (private_threadpool_size 1, inter-op and intra-op 1), as a worker is one. Epochs are repeated; what a first
batch takes is left out. WORK is a row of WORKS.
"""
import json
import os
import pathlib
import sys
import time

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
import numpy  # noqa: E402
import tensorflow as tf  # noqa: E402


def arrays(folder):
    return tf.data.Dataset.from_tensor_slices((numpy.load(folder / "x.npy"), numpy.load(folder / "y.npy")))


def slices(folder):
    return arrays(folder).repeat().batch(1024)


def slices_shuffled(folder):
    rows = len(numpy.load(folder / "y.npy", mmap_mode="r"))
    return arrays(folder).shuffle(rows).repeat().batch(1024)


def rescale(folder):
    rows = len(numpy.load(folder / "y.npy", mmap_mode="r"))
    return arrays(folder).shuffle(rows).repeat().batch(256).map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, y))


def csv(folder):
    """Parsed a batch at a time, the fast way."""
    columns = len((folder / "table.csv").open().readline().split(","))
    lines = tf.data.TextLineDataset(str(folder / "table.csv")).skip(1).repeat().batch(1024)

    def parse(texts):
        numbers = tf.io.decode_csv(texts, [[0.0]] * (columns - 1) + [[0]])
        return tf.stack(numbers[:-1], axis=1), numbers[-1]

    return lines.map(parse)


def tfrecord(folder):
    """Parsed a batch at a time, the fast way."""
    features = {"x": tf.io.FixedLenFeature([16], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}
    records = tf.data.TFRecordDataset(str(folder / "train.tfrecord")).repeat().batch(1024)
    return records.map(lambda texts: tf.io.parse_example(texts, features))


WORKS = {f.__name__: f for f in (slices, slices_shuffled, rescale, csv, tfrecord)}


def main():
    work, folder, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    dataset = WORKS[work](folder)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    batches = iter(dataset.with_options(options))

    def rows_of():
        batch = next(batches)
        return int(tf.nest.flatten(batch)[0].shape[0])

    rows_of()
    begin, cpu, rows = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < seconds:
        rows += rows_of()
    wall = time.perf_counter() - begin
    print(json.dumps({"rows_per_s": rows / wall, "cpu_share": (time.process_time() - cpu) / wall}))


main()
