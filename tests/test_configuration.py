"""gin: nothing unknown is ever ignored, and what was bound comes back."""

import gin
import pytest

from learned_optimization import configuration
from learned_optimization.configurable import configurable
from learned_optimization.errors import LoptError
from learned_optimization.optimizers.optax_opts import Adam


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        (
            "Adm.learning_rate=1",
            "unknown gin configurable 'Adm': did you mean Adam",
        ),
        (
            "Adam.learning_rat=1",
            "unknown gin parameter of Adam 'learning_rat': did you mean learning_rate",
        ),
        ("inner_train_task.opt=@Adm()", "'Adm': did you mean Adam"),
        ("inner_train_task.nun_steps=1", "did you mean num_steps"),
        ("SGD.zzzzzz=1", "known are learning_rate"),
        ("nonsense", "a binding looks like Adam.learning_rate=0.001"),
        ("Adam.learning_rate=", "Unable to parse"),
    ],
)
def test_bad_bindings_name_the_nearest(binding, message):
    with pytest.raises(LoptError) as error:
        configuration.load([], [binding])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file():
    with pytest.raises(LoptError, match="no such gin file: no_such_file"):
        configuration.load(["no_such_file.gin"], [])


def test_later_sources_override(tmp_path):
    file = tmp_path / "a.gin"
    file.write_text("Adam.learning_rate = 0.5\nAdam.beta1 = 0.8\n")
    configuration.load([str(file)], ["Adam.learning_rate = 0.25"])
    assert Adam().learning_rate == 0.25
    assert Adam().beta1 == 0.8
    configuration.load([], [])
    assert Adam().learning_rate == 0.01


def test_bound_puts_back_what_was_there():
    configuration.load([], ["Adam.beta1 = 0.8"])
    with configuration.bound({"Adam.learning_rate": 0.5}):
        assert (Adam().learning_rate, Adam().beta1) == (0.5, 0.8)
        assert "Adam.learning_rate = 0.5" in gin.operative_config_str()
    assert (Adam().learning_rate, Adam().beta1) == (0.01, 0.8)
    with (
        pytest.raises(LoptError, match="did you mean learning_rate"),
        configuration.bound({"Adam.learning_rte": 0.5}),
    ):
        pass
    assert Adam().beta1 == 0.8
    assert configuration.bound_parameters() == ["Adam.beta1"]


def test_call_bound_names_what_is_missing():
    @configurable("tests")
    def needs_two(first, second, third=3):
        return first, second, third

    with pytest.raises(LoptError, match=r"needs_two\.first, needs_two\.second"):
        configuration.call_bound(needs_two)
    gin.parse_config(["needs_two.first = 1", "needs_two.second = 'x'"])
    assert configuration.call_bound(needs_two) == (1, "x", 3)
