#!/usr/bin/env python3
"""Keras's layers inside tf.data: peer_preprocess.py FOLDER SECONDS WORK, one JSON object with samples a CPU-second.

One thread of tf.data's own, inter-op and intra-op 1. Batches of 1024 (64 of pictures) are made of what lies in memory, repeated; what the
first batches take is left out. WORK "pillow" is Pillow's resize, a picture at a time.
"""
import json
import os
import pathlib
import resource
import sys
import time

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")


def lines(folder, name):
    return (folder / name).read_text(encoding="utf-8").splitlines()


def text_layer(folder, **options):
    import keras
    layer = keras.layers.TextVectorization(**options)
    layer.adapt(lines(folder, "texts.txt"))
    return layer


def make(work, folder):
    """The layer, what goes into it, rows a batch."""
    import keras
    import numpy
    if work == "text_int":
        return text_layer(folder, max_tokens=20000, output_sequence_length=64), lines(folder, "texts.txt"), 1024
    if work == "text_tf_idf":
        return text_layer(folder, max_tokens=1000, output_mode="tf_idf"), lines(folder, "texts.txt"), 1024
    if work == "string_lookup":
        layer = keras.layers.StringLookup(max_tokens=20000)
        layer.adapt(numpy.array(lines(folder, "words.txt")))
        return layer, lines(folder, "words.txt"), 1024
    if work == "hashing":
        return keras.layers.Hashing(num_bins=1000), lines(folder, "words.txt"), 1024
    if work == "hashing_salt":
        return keras.layers.Hashing(num_bins=1000, salt=1337), lines(folder, "words.txt"), 1024
    if work == "discretization":
        floats = numpy.load(folder / "floats.npy")
        layer = keras.layers.Discretization(num_bins=10)
        layer.adapt(floats)
        return layer, floats, 1024
    if work == "rescaling":
        return keras.layers.Rescaling(0.5, 1.0), numpy.load(folder / "pictures.npy"), 64
    if work == "normalization":
        layer = keras.layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.3])
        layer.build((None, 128, 128, 3))
        return layer, numpy.load(folder / "pictures.npy"), 64
    return keras.layers.Resizing(224, 224, antialias=True), numpy.load(folder / "photos.npy"), 16


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def pillow(folder, seconds):
    from PIL import Image
    photo = Image.effect_noise((500, 375), 80).convert("RGB")
    begin, done = cpu(), 0
    while cpu() - begin < seconds:
        photo.resize((224, 224), Image.Resampling.BILINEAR)
        done += 1
    return done / (cpu() - begin)


def keras_rate(work, folder, seconds):
    import tensorflow as tf
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    layer, data, batch = make(work, folder)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    stream = tf.data.Dataset.from_tensor_slices(data).batch(batch, drop_remainder=True).cache().repeat()
    stream = iter(stream.map(layer).with_options(options))
    rounds = len(data) // batch + 2
    for _ in range(rounds):
        next(stream)
    begin, wall, done = cpu(), time.monotonic(), 0
    while cpu() - begin < seconds:
        next(stream)
        done += batch
    return done / (cpu() - begin), (cpu() - begin) / (time.monotonic() - wall)


def main():
    folder, seconds, work = pathlib.Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    if work == "pillow":
        print(json.dumps({"work": work, "rate": pillow(folder, seconds)}))
        return
    rate, share = keras_rate(work, folder, seconds)
    print(json.dumps({"work": work, "rate": rate, "threads": round(share, 2)}))


if __name__ == "__main__":
    main()
