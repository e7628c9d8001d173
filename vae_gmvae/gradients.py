"""The gradient of a function of tensors: each engine has its own, and keras.ops has none."""

import keras


def gradient(function, x):
    """The gradient of the scalar function(x) with respect to the tensor x, of its shape.

    Raises:
        NotImplementedError: an engine other than TensorFlow and JAX.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.grad(function)(x)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x)
    raise NotImplementedError(
        f"the Keras backend is {backend!r}: set KERAS_BACKEND to tensorflow or jax"
    )
