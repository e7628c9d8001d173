"""Training curves, read back from their artists."""

import numpy as np
from figures import COSTS, axes_of, broken_history, by_gid, history, texts
from numpy.testing import assert_allclose, assert_array_equal

from vae_gmvae import plots
from vae_gmvae.plots.style import TERM_COLORS


def test_one_panel_per_term_with_training_and_validation_as_given():
    lists = history(8)
    figure = plots.training_curves(lists)
    names = ["elbo", "reconstruction", *COSTS]
    assert [axes.get_gid() for axes in figure.axes] == [f"panel:{name}" for name in names]
    for name in names:
        axes = axes_of(figure, f"panel:{name}")
        lines = {line.get_label(): line for line in axes.lines}
        assert set(lines) == {"training", "validation"}
        for label, key in (("training", name), ("validation", f"val_{name}")):
            assert_allclose(lines[label].get_xdata(), lists["epoch"])
            assert_allclose(lines[label].get_ydata(), lists[key])
            assert lines[label].get_color() == TERM_COLORS[name]
        assert {"training", "validation"} == {text.get_text() for text in axes.texts}
        assert axes.get_xlabel() == "epoch"
    assert axes_of(figure, "panel:elbo").get_ylabel() == "nats per image"


def test_line_names_stand_in_the_order_of_the_lines():
    lists = history(6)
    for name in ("elbo", *COSTS):
        axes = axes_of(plots.training_curves(lists), f"panel:{name}")
        heights = {text.get_text(): text.xy[1] for text in axes.texts}
        higher = lists[name][-1] > lists[f"val_{name}"][-1]
        assert (heights["training"] > heights["validation"]) == higher


def test_without_validation_there_is_one_line():
    lists = {key: value for key, value in history(4).items() if not key.startswith("val_")}
    figure = plots.training_curves(lists)
    assert all([line.get_label() for line in axes.lines] == ["training"] for axes in figure.axes)


def test_epochs_without_a_finite_value_are_gaps_and_crossed():
    figure = plots.training_curves(broken_history())
    axes = axes_of(figure, "panel:elbo")
    crosses = by_gid(figure, "not finite")
    assert crosses
    (cross,) = [line for line in axes.lines if line.get_gid() == "not finite"]
    assert_array_equal(cross.get_xdata(), range(13, 21))
    training = next(line for line in axes.lines if line.get_label() == "training")
    assert_array_equal(np.isnan(training.get_ydata()), np.arange(20) >= 12)
    assert np.isfinite(axes.get_ylim()).all()
    w_prior = axes_of(figure, "panel:w_prior")
    assert "validation" not in [text.get_text() for text in w_prior.texts]


def test_a_history_with_no_finite_value_still_draws():
    lists = {"epoch": [1, 2], "elbo": [np.nan] * 2, "z_prior": [np.inf] * 2}
    figure = plots.training_curves(lists)
    assert texts(figure).count("not finite") == 2


def test_the_first_tenth_of_a_long_run_does_not_set_the_limits():
    lists = history(40)
    lists["elbo"][0] = -1e6
    low, high = axes_of(plots.training_curves(lists), "panel:elbo").get_ylim()
    later = lists["elbo"][4:] + lists["val_elbo"][4:]
    assert low < min(later) and max(later) < high
    assert high - low < 2 * (max(later) - min(later))


def test_a_run_that_broke_at_once_shows_what_there_is():
    lists = {"epoch": list(range(20)), "elbo": [5.0, 7.0] + [np.nan] * 18}
    axes = axes_of(plots.training_curves(lists), "panel:elbo")
    low, high = axes.get_ylim()
    assert low < 5 and high > 7
    lists |= {"val_elbo": [900.0] * 10 + [901.0] * 10}
    axes = axes_of(plots.training_curves(lists), "panel:elbo")
    heights = {text.get_text(): text.xy[1] for text in axes.texts if hasattr(text, "xy")}
    assert 0 <= heights["training"] < heights["validation"] <= 1
