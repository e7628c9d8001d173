"""One training on all devices of a machine: who computes what, and what they tell each other.

On JAX a step is written for the whole batch and the compiler divides it: the functions below have
nothing to add there. On TensorFlow every device runs the step on its own part of the batch; what
belongs to the whole batch, its noise and its means, goes through this module. With one device, or
outside a step, the part is the batch.
"""

import contextlib
import functools

import keras
from keras import ops


def names() -> list[str]:
    """The devices that `scope` trains on: all GPUs (TPUs), or all CPUs where there is none."""
    return keras.distribution.list_devices()


def scope(distribute: bool):
    """A context: models that are built and fitted in it train on every device, if `distribute`."""
    if not distribute or len(names()) == 1:
        return contextlib.nullcontext()
    if keras.backend.backend() == "jax":
        return keras.distribution.DataParallel(devices=names()).scope()
    return _mirrored().scope()


@functools.cache
def _mirrored():
    """One for the process: two strategies would take each other's sums for their own."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(names())


def check(batch_size: int, dropout: float, num_valid: int):
    """Raises where the devices cannot divide the training.

    Raises:
        ValueError: a batch that they cannot share evenly, fewer validation images than devices;
            on TensorFlow also dropout.
    """
    num, here = len(names()), ", ".join(names())
    if batch_size % num:
        near = max(num, batch_size // num * num)
        raise ValueError(
            f"batch_size is {batch_size}, which the {num} devices ({here}) cannot share evenly: "
            f"choose a multiple of {num}, such as {near}"
        )
    if num_valid < num:
        raise ValueError(
            f"there are {num_valid} validation images for {num} devices ({here}): train on more "
            "images, or on one device"
        )
    if dropout and num > 1 and keras.backend.backend() == "tensorflow":
        raise ValueError(
            f"dropout is {dropout}, but on TensorFlow the {num} devices ({here}) would all drop "
            "the same units: set dropout to 0, or train on JAX or on one device"
        )


def parts() -> int:
    """Into how many parts TensorFlow divides a batch in the current scope; 1 elsewhere."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def even(num: int) -> int:
    """Of `num` images, how many the devices of the current scope can share evenly."""
    sharing = keras.distribution.distribution()  # JAX's
    devices = sharing.num_model_replicas if sharing else parts()
    return num // devices * devices


def _part():
    """TensorFlow's context of the part that is being computed; None where that is the batch."""
    if parts() == 1:
        return None
    import tensorflow as tf

    return tf.distribute.get_replica_context()  # None also outside a step


def gather(values):
    """What each part has for `values`, [parts, *values.shape], with its gradient."""
    values, part = ops.convert_to_tensor(values)[None], _part()
    if part is None:
        return values
    mine = ops.equal(ops.arange(parts()), part.replica_id_in_sync_group)  # [parts]
    mine = ops.reshape(mine, (-1, *[1] * (len(values.shape) - 1)))
    return part.all_reduce("sum", ops.where(mine, values, 0))


def own_rows(draw, num: int):
    """This part's `num` rows of the rows that `draw` draws for the batch.

    Every part draws all of them, from equal seeds: the batch has the noise it has on one device.
    """
    part = _part()
    if part is None:
        return draw(num)
    first = part.replica_id_in_sync_group * num
    return draw(num * parts())[first : first + num]
