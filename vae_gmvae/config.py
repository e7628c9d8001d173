"""The configuration of a run: every number that decides what is trained, in one frozen dataclass.

Each field carries its help text, its range and its group; the command line is derived from them.
"""

import dataclasses
import difflib
import numbers
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

MODEL_NAMES = ("model1", "model2", "model3", "model4_bias", "model5")
GMVAE_NAMES = ("model4_bias", "model5")
MIXTURE_NAMES = ("model3", *GMVAE_NAMES)
CONVOLUTIONAL_NAMES = ("model2", "model5")
DATASET_NAMES = ("MNIST", "FREY", "MNIST5K")
PRESETS = ("thesis", "reference", "smoke")


def _option(default, group, text, **meta):
    """A field with its help text and its closed range [low, high] or its choices.

    `words` are the strings that a numeric field also accepts, `models` those that make use of it,
    `needs` another option without which it says nothing.
    """
    metadata = dict(choices=None, low=None, high=None, flag=None, words=(), needs=None)
    metadata |= dict(group=group, help=text, models=MODEL_NAMES) | meta
    return field(default=default, metadata=MappingProxyType(metadata))


TRAINING, OBJECTIVE, NETWORKS, FILES = "training", "objective", "networks", "files"
SMALLEST = 1e-12  # stands for "greater than 0"


@dataclass(frozen=True)
class Config:
    """What a run is: model, data, networks, objective, training.

    Raises:
        ValueError: a value of the wrong type or outside its range; the message names the field,
            the value and what is allowed.
    """

    # fmt: off
    model_name: str = _option("model1", TRAINING, "model and architecture", choices=MODEL_NAMES)
    dataset_name: str = _option("MNIST", TRAINING,
        "MNIST, FREY, MNIST5K, or the path of your own images (a folder of PNGs, or an .npz)")
    epochs: int = _option(20, TRAINING,
        "epochs to train; a finished run gets this many more with --restore 1", low=1, high=100_000)
    batch_size: int = _option(64, TRAINING, "images per training step", low=1, high=100_000)
    learning_rate: float = _option(1e-3, TRAINING, "step size of Adam", low=SMALLEST, high=10.0)
    cooldown: int = _option(0, TRAINING,
        "last epochs, in which learning_rate falls linearly almost to 0", low=0)
    patience: int = _option(30, TRAINING,
        "stop after this many epochs without a better validation ELBO, warm-ups apart; 0: never",
        low=0)
    seed: int = _option(0, TRAINING, "seed of split, initial weights, batches and noise",
        low=0, high=2**31 - 1)
    split: str = _option("random", TRAINING,
        "how FREY and own images are divided; contiguous keeps the order of the film",
        choices=("random", "contiguous"))
    binarise: str = _option("none", TRAINING,
        "sampled draws every pixel once, 0 or 1, with its grey level as the probability of the 1",
        choices=("none", "sampled"))
    subset: int = _option(0, TRAINING, "train on this many images only; 0 takes all", low=0)

    z_dim: int = _option(3, NETWORKS, "dimension of the latent variable z", low=1, high=4096)
    w_dim: int = _option(3, NETWORKS, "dimension of the latent variable w (GMVAE)",
        low=1, high=4096, models=GMVAE_NAMES)
    num_clusters: int = _option(10, NETWORKS, "modes K of the latent variable z (model3, GMVAE)",
        low=2, high=1000, flag="K_clusters", models=MIXTURE_NAMES)
    hidden_dim: int = _option(50, NETWORKS, "units of each hidden dense layer", low=1, high=65536)
    num_layers: int = _option(2, NETWORKS,
        "dense layers of each network, the output layer counted", low=1, high=100)
    filters: int = _option(32, NETWORKS,
        "filters of the first convolution; the second has twice as many", low=1, high=4096,
        models=CONVOLUTIONAL_NAMES)
    dropout: float = _option(0.0, NETWORKS, "share of hidden units dropped while training",
        low=0.0, high=0.95)
    variance_bound: str = _option("wide", NETWORKS,
        "range of every latent variance: wide (e^-12 to e^12) or the thesis's (0.107 to 5.107)",
        choices=("wide", "thesis"))
    bias_init: str = _option("truncated_normal", NETWORKS,
        "initial biases of the z means of the GMVAE", choices=("truncated_normal", "zeros"),
        models=GMVAE_NAMES)
    precision: str = _option("float32", NETWORKS,
        "arithmetic inside the convolutional layers", choices=("float32", "bfloat16"),
        models=CONVOLUTIONAL_NAMES)

    x_var: float | str = _option(0.1, OBJECTIVE,
        "VARIANCE of the Gaussian p(x|z); auto is the optimal shared one",
        low=SMALLEST, high=1e6, flag="sigma", words=("auto",))
    likelihood: str = _option("gaussian", OBJECTIVE, "p(x|z)", choices=("gaussian", "bernoulli"))
    y_posterior: str = _option("network", OBJECTIVE,
        "p(y|w,z): the thesis's network, or Bayes' rule",
        choices=("network", "bayes"), models=GMVAE_NAMES)
    y_prior: str = _option("forward", OBJECTIVE,
        "KL(p(y|w,z) || p(y)), or the reversed KL of the 2018 code",
        choices=("forward", "reversed"), models=GMVAE_NAMES)
    mixture_density: str = _option("logsumexp", OBJECTIVE,
        "log p(z) of model3; naive underflows as the 2018 code did",
        choices=("logsumexp", "naive"), models=("model3",))
    kl_weight: float = _option(1.0, OBJECTIVE, "weight of the KL terms in the loss",
        low=0.0, high=1e6)
    kl_warmup: int = _option(0, OBJECTIVE, "epochs over which that weight rises from 0", low=0,
        needs="kl_weight")
    min_information: float = _option(0.0, OBJECTIVE,
        "nats of z_prior (GMVAE: y_prior) per image that the loss does not punish",
        low=0.0, high=1e6, needs="kl_weight")
    y_information_weight: float = _option(1.0, OBJECTIVE,
        "weight in the loss of the mutual information of x and y, part of the mean y_prior",
        low=0.0, high=1e6, models=GMVAE_NAMES, needs="kl_weight")
    y_marginal_weight: float = _option(1.0, OBJECTIVE,
        "weight in the loss of the other part, KL(batch mean of p(y|w,z) || p(y))",
        low=0.0, high=1e6, models=GMVAE_NAMES, needs="kl_weight")
    consistency: float = _option(0.0, OBJECTIVE,
        "weight in the loss of KL(p(y|w,z) of an image || of the same image moved a little), nats",
        low=0.0, high=1e6, models=GMVAE_NAMES)
    consistency_warmup: int = _option(0, OBJECTIVE,
        "epochs over which that weight rises from 0", low=0, needs="consistency")
    elastic: float = _option(0.0, OBJECTIVE,
        "pixels by which those moved images are also bent as if on rubber (standard deviation)",
        low=0.0, high=100.0, models=GMVAE_NAMES)
    strokes: float = _option(0.0, OBJECTIVE,
        "share of those moved images that get a short stroke of a pen", low=0.0, high=1.0,
        models=GMVAE_NAMES)
    strokes_warmup: int = _option(0, OBJECTIVE,
        "epochs over which that share rises from 0", low=0, needs="strokes")

    save_step: int = _option(10, FILES, "keep the weights of every this many epochs", low=1)
    extra_name: str = _option("", FILES, "extra name to identify the run")
    # fmt: on

    def __post_init__(self):
        for option in OPTIONS.values():
            value = _checked(option, getattr(self, option.name))
            object.__setattr__(self, option.name, value)
        if self.dataset_name.upper() in DATASET_NAMES:
            object.__setattr__(self, "dataset_name", self.dataset_name.upper())
        if self.extra_name and not re.fullmatch(r"[\w.\-]+", self.extra_name):
            raise ValueError(
                f"extra_name {self.extra_name!r} becomes part of a folder's name: use letters, "
                "digits, '.', '_' and '-' only"
            )
        if self.min_information and self.is_gmvae and self.y_prior == "reversed":
            raise ValueError("min_information bounds the forward y_prior: leave y_prior forward")
        self._check_y_weights()
        if self.likelihood == "bernoulli" and self.x_var == "auto":
            raise ValueError(
                "x_var auto belongs to the gaussian likelihood: bernoulli has no x_var"
            )

    def _check_y_weights(self):
        weighted = (self.y_information_weight, self.y_marginal_weight) != (1, 1)
        if (weighted or self.consistency) and not self.is_gmvae:
            raise ValueError(
                f"{self.model_name} has no p(y|w,z): y_information_weight, y_marginal_weight and "
                f"consistency belong to {' and '.join(GMVAE_NAMES)}"
            )
        for name in ("elastic", "strokes"):
            if getattr(self, name) and not self.consistency:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, but consistency is 0: without it no image "
                    f"is moved, and {name} changes moved images only"
                )
        if weighted and (self.y_prior == "reversed" or self.min_information):
            raise ValueError(
                "y_information_weight and y_marginal_weight divide the forward y_prior: leave "
                "y_prior forward and min_information 0"
            )

    @property
    def is_gmvae(self) -> bool:
        return self.model_name in GMVAE_NAMES

    @property
    def is_mixture(self) -> bool:
        return self.model_name in MIXTURE_NAMES

    @property
    def is_convolutional(self) -> bool:
        return self.model_name in CONVOLUTIONAL_NAMES

    def unused(self, names) -> dict[str, str]:
        """Those of the named options that make no difference to this run, each with the reason."""
        reasons = {}
        for option in map(OPTIONS.get, names):
            models, needs = option.metadata["models"], option.metadata["needs"]
            if self.model_name not in models:
                reasons[option.name] = f"an option of {', '.join(models)}"
            elif needs and not getattr(self, needs):
                reasons[option.name] = f"{needs} is 0"
            elif option.name in ("hidden_dim", "dropout") and self.num_layers == 1:
                reasons[option.name] = "num_layers is 1: there is no hidden layer"
            elif option.name == "x_var" and self.likelihood == "bernoulli":
                reasons[option.name] = "likelihood is bernoulli, which has no variance"
            elif option.name == "split" and self.dataset_name == "MNIST":
                reasons[option.name] = "MNIST comes with its test images"
        return reasons

    @property
    def data_name(self) -> str:
        """The dataset's name, or that of the file or folder with own images, without its path."""
        own = self.dataset_name not in DATASET_NAMES
        whole = os.path.abspath(os.path.expanduser(self.dataset_name))
        name = Path(whole).name if own else self.dataset_name
        return re.sub(r"[^\w\-]", "_", name.removesuffix(".npz"))

    @property
    def run_name(self) -> str:
        """`{model}_{dataset}_{epochs}_{sigma}_{z}[_{w}]_{hidden}_{layers}[_{K}][_{extra}]`.

        sigma is written without its dot; only a GMVAE has w and K in its name.
        """
        sigma = self.x_var if self.x_var == "auto" else _plain(self.x_var).replace(".", "")
        style = [self.w_dim] if self.is_gmvae else []
        clusters = [self.num_clusters] if self.is_gmvae else []
        extra = [self.extra_name] if self.extra_name else []
        parts = [self.model_name, self.data_name, self.epochs, sigma, self.z_dim, *style]
        parts += [self.hidden_dim, self.num_layers, *clusters, *extra]
        return "_".join(map(str, parts))

    def replace(self, **changes) -> "Config":
        """A copy with some fields changed; unknown names raise ValueError."""
        return dataclasses.replace(self, **_known(changes))

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        """The configuration with these values; unknown names raise ValueError."""
        return cls(**_known(values))


OPTIONS = {option.name: option for option in dataclasses.fields(Config)}


def _plain(number: float) -> str:
    """0.001 -> '0.001', never '1e-3'; 1.0 keeps its zero."""
    digits = f"{number:.12f}".rstrip("0")
    return f"{digits}0" if digits.endswith(".") else digits


def _known(values: dict) -> dict:
    of_flag = {option.metadata["flag"]: option.name for option in OPTIONS.values()}
    for name in values:
        if name not in OPTIONS:
            near = of_flag.get(name) or _nearest(name, OPTIONS)
            hint = f": did you mean {near!r}?" if near else f"; the options are {list(OPTIONS)}"
            raise ValueError(f"unknown option {name!r}{hint}")
    return values


def _nearest(word: str, words) -> str | None:
    """The one of `words` that was probably meant: model4 is model4_bias, not model5."""
    begun = [candidate for candidate in words if word and candidate.startswith(word)]
    near = begun or difflib.get_close_matches(word, words, n=1)
    return near[0] if near else None


def _checked(option, value):
    """`value` as the field's type, or ValueError with the field, the value and what is allowed."""
    meta = option.metadata
    if meta["choices"] and value not in meta["choices"]:
        near = _nearest(str(value), meta["choices"])
        hint = f" (did you mean {near}?)" if near else ""
        allowed = ", ".join(meta["choices"])
        raise ValueError(f"{option.name} is {value!r}: choose one of {allowed}{hint}")
    if isinstance(option.default, str) or (isinstance(value, str) and value in meta["words"]):
        return _checked_text(option, value)
    return _checked_number(option, value)


def _checked_text(option, value):
    if not isinstance(value, str):
        raise ValueError(f"{option.name} is {value!r}: it must be a string")
    if option.name == "dataset_name" and not value:
        raise ValueError("dataset_name is empty: use MNIST, FREY, MNIST5K or a path")
    return value


def _checked_number(option, value):
    whole = isinstance(option.default, int)
    allowed = _allowed(option.metadata, "whole number" if whole else "number")
    kind = numbers.Integral if whole else numbers.Real  # NumPy's numbers are welcome
    if not isinstance(value, kind) or isinstance(value, bool) or value != value:
        raise ValueError(f"{option.name} is {value!r}: it must be a {allowed}")
    low, high = option.metadata["low"], option.metadata["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(f"{option.name} is {value!r}: it must be a {allowed}")
    return int(value) if whole else float(value)


def _allowed(meta, kind: str) -> str:
    lower = "greater than 0" if meta["low"] == SMALLEST else f"of at least {meta['low']}"
    upper = "" if meta["high"] is None else f" and at most {meta['high']:g}"
    words = "".join(f", or {word}" for word in meta["words"])
    return f"{kind} {lower}{upper}{words}"


def preset(name: str, model_name: str = "model1", dataset_name: str = "MNIST", **changes) -> Config:
    """A named configuration of one model on one dataset, with `changes` on top.

    thesis:    the settings of the thesis's example script, 300 epochs.
    reference: the settings of the runs that the book publishes.
    smoke:     a subset for two epochs: what tests and quick looks run.

    Raises:
        ValueError: an unknown preset, model, option or value.
    """
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}: choose one of {', '.join(PRESETS)}")
    base = Config(model_name=model_name, dataset_name=dataset_name)
    settings = {"thesis": _thesis, "reference": _reference, "smoke": _smoke}[name](base)
    return base.replace(**{**settings, **changes})


def _thesis(base: Config) -> dict:
    common = {"epochs": 300, "batch_size": 64}
    if base.model_name in ("model1", "model2"):
        return common | dict(z_dim=10, hidden_dim=64, num_layers=3, x_var=0.001)
    if base.model_name == "model3":
        return common | dict(
            z_dim=2, w_dim=2, hidden_dim=128, num_layers=2, x_var=0.01, learning_rate=1e-4
        )
    if base.model_name == "model4_bias":
        return _thesis(base.replace(model_name="model3")) | dict(variance_bound="thesis")
    return common | dict(
        z_dim=10, w_dim=2, hidden_dim=64, num_layers=3, x_var=0.001, variance_bound="thesis"
    )


def _reference(base: Config) -> dict:
    """Sharper pictures and better clusters than the thesis's; small enough for a web page.

    The variance of p(x|z) is learned, and the GMVAE is trained to cluster: chapter 10 says how,
    and what that costs.
    """
    settings = _thesis(base) | dict(x_var="auto", hidden_dim=128, num_layers=3, learning_rate=1e-3)
    settings |= dict(variance_bound="wide", batch_size=100, epochs=120, patience=0)
    if base.is_convolutional:
        settings |= dict(hidden_dim=64, epochs=40)
    if base.is_gmvae:
        settings |= dict(z_dim=10, w_dim=2, y_information_weight=0.0, y_marginal_weight=10.0)
        settings |= dict(consistency=5.0, consistency_warmup=6)
    if base.is_gmvae and base.dataset_name != "FREY":
        settings |= dict(likelihood="bernoulli", x_var=0.1)
    if base.model_name == "model5" and base.dataset_name != "FREY":
        settings |= dict(strokes=0.5, strokes_warmup=20, epochs=60, cooldown=20)
    if base.dataset_name == "FREY":  # 1,573 images: a twentieth of the steps of an epoch
        settings |= dict(batch_size=64, epochs=300)
        settings |= dict(consistency_warmup=150) if base.is_gmvae else {}
    return settings


def _smoke(base: Config) -> dict:
    return dict(epochs=2, subset=640, hidden_dim=32, save_step=1, x_var=0.05)
