"""The layers of millrace that Keras 3 lacks, registered under the names that its .keras files use.

    import millrace_keras
    model = keras.saving.load_model("model.keras")
"""
import keras
from keras import ops


@keras.saving.register_keras_serializable(package="millrace")
class LocalResponseNormalization(keras.layers.Layer):
    """x / (bias + alpha * sum of the squares of the channels c - radius to c + radius) ** beta (Krizhevsky et al. 2012)."""

    def __init__(self, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5, **kwargs):
        super().__init__(**kwargs)
        self.depth_radius, self.bias, self.alpha, self.beta = depth_radius, bias, alpha, beta

    def call(self, inputs):
        squares = ops.square(inputs)
        radius, channels = self.depth_radius, inputs.shape[-1]
        padded = ops.pad(squares, [[0, 0]] * (len(inputs.shape) - 1) + [[radius, radius]])
        total = sum(padded[..., i:i + channels] for i in range(2 * radius + 1))
        return inputs * ops.power(self.bias + self.alpha * total, -self.beta)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "depth_radius": self.depth_radius, "bias": self.bias, "alpha": self.alpha,
                "beta": self.beta}
