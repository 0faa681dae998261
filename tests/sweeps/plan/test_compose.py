"""Compositions as Hydra makes them of the configuration of this repository."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from omegaconf import DictConfig

from bvae import config
from bvae.exceptions import ConfigError
from sweeps.plan.compose import (
    Composition,
    absolute,
    compositions_of,
    settled,
    without_content,
)
from sweeps.plan.overrides import split
from sweeps.study.manifest import resolved

Compose = Callable[[Sequence[str]], DictConfig]


def composed_of(compose: Compose, *arguments: str) -> list[Composition]:
    """Compose what is typed."""
    return list(compositions_of(split(arguments, params={}, groups=config.groups()), compose))


def test_once_where_no_group_is_swept(composed: Compose) -> None:
    """However many values of keys there are."""
    (found,) = composed_of(composed, "beta=1,4,16", "optimizer.lr=1e-4,1e-3", "model=conv")

    assert "conv" == found.values["model"]["name"] == found.choices["model"]
    assert "hydra" not in found.values


def test_once_for_each_choice_of_groups(composed: Compose) -> None:
    """With the keys of each choice, under the name by which the manifest finds it."""
    found = composed_of(composed, "model=mlp,conv", "data=dsprites32,dsprites")

    names = {composition.name(["data", "model"]) for composition in found}
    assert 4 == len(found) == len(names)
    for composition in found:
        assert composition.choices["model"] == composition.values["model"]["name"]
        assert composition.choices["data"] == composition.values["data"]["name"]


@pytest.mark.parametrize(
    ("group", "arguments", "left_out"),
    [
        ("loss=beta_vae,own", ("++loss._target_=my.Loss", "++loss.gamma=2"), {"beta_vae": (0, 1)}),
        ("loss=beta_vae,own", ("++loss.schedule=linear",), {"own": (0,)}),
        ("loss=annealed_vae,beta_vae", ("++loss.c_max=3",), {"beta_vae": (0,)}),
        ("loss=annealed_vae,beta_vae", ("++loss.gamma=3",), {}),
        ("model=mlp,own", ("++model.encoder._target_=my.Net",), {"mlp": (0,)}),
        ("model=mlp,own", ("++model.encoder.width=3",), {"mlp": (0,)}),
        ("data=dsprites32,own", ("data.holdout=0.2",), {}),
    ],
)
def test_each_choice_takes_what_it_has(
    composed: Compose, group: str, arguments: tuple[str, ...], left_out: dict[str, tuple[int, ...]]
) -> None:
    """Keys of one choice are not for others; what none has is for own ones, or a mistake."""
    key, _, names = group.partition("=")
    found = composed_of(composed, group, *arguments)

    assert {
        name: tuple(arguments[i] for i in left_out.get(name, ())) for name in names.split(",")
    } == {composition.choices[key]: composition.left_out for composition in found}


@pytest.mark.parametrize("data", ["dsprites32", "dsprites"])
def test_the_data_decide_the_objective(composed: Compose, data: str) -> None:
    """Which nobody has typed: MIG where there are factors."""
    typed = split([f"data={data}"], params={}, groups=config.groups())
    (found,) = compositions_of(typed, composed)

    assert found.values["objective"] is None
    values = settled(found, config.parse(found.values), typed).values
    assert "mig" == values["objective"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("${beta}", "${beta}"),
        ("a_${seed}", "a_${seed}"),
        ("${oc.select:latent_dim}", "${oc.select:latent_dim}"),
        ("${trainer.max_steps}", "${trainer.max_steps}"),
        ("${model.name}", "${model.name}"),
        ("${oc.env:A_PROJECT}", "mine"),
        ("${trainer.batch_size}", 128),
        ("${oc.env:A_PROJECT}_${seed}_${trainer.batch_size}", "mine_${seed}_128"),
    ],
)
def test_what_depends_on_swept_keys_stays_as_typed(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, typed: str, expected: object
) -> None:
    """All else is resolved once, here, also where both stand in one text."""
    monkeypatch.setenv("A_PROJECT", "mine")
    swept = ("beta=1,4", "trainer.max_steps=1,2", "model=mlp,conv")

    for found in composed_of(composed, *swept, f"tracker.project='{typed}'"):
        assert expected == found.values["tracker"]["project"]


@pytest.mark.parametrize("key", ["study", "runs_dir", "optimizer.lr", "data.score_every"])
def test_the_time_is_refused_where_a_study_is_found_by_it(composed: Compose, key: str) -> None:
    """Typed again the command would begin another study; a tracker's project may have a date."""
    value = "[${now:%d}]" if key == "data.score_every" else "'a_${now:%d}'"
    composed_of(composed, "tracker.project='of_${now:%Y}'")

    with pytest.raises(ConfigError, match=rf"^{key}: .*another value whenever the command"):
        composed_of(composed, f"{key}={value}")


def test_the_time_is_refused_by_way_of_another_key(composed: Compose) -> None:
    """A study named after a project with a date in it would be another one tomorrow, too."""
    with pytest.raises(ConfigError, match=r"^study: .*another value whenever the command"):
        composed_of(
            composed, "tracker.project='p_${now:%d}'", "study='s_${tracker.project}_${beta}'"
        )


def test_texts_of_the_environment_are_texts(
    composed: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interpolation in one is none; where a number belongs it is the number."""
    monkeypatch.setenv("A_NAME", "${beta}")
    monkeypatch.setenv("A_NUMBER", "30")
    (found,) = composed_of(
        composed,
        "tracker.project='${oc.env:A_NAME}-${beta}'",
        "trainer.max_steps=${oc.env:A_NUMBER}",
        "trainer.val_every_n_steps=1e1",
    )

    assert r"\${beta}-${beta}" == found.values["tracker"]["project"]
    assert "${beta}-4" == resolved(found.values, {"beta": 4})["tracker"]["project"]
    steps = found.values["trainer"]["max_steps"], found.values["trainer"]["val_every_n_steps"]
    assert ("30, 10", int) == (f"{steps[0]}, {steps[1]}", type(steps[1]))


def test_what_depends_on_what_depends(composed: Compose) -> None:
    """However far away the swept key is, and in a list."""
    (found,) = composed_of(
        composed,
        "optimizer.lr=${data.variance}",
        "data.variance=${beta}",
        "data.score_every=[1,1,${seed}]",
    )

    assert "${data.variance}" == found.values["optimizer"]["lr"]
    assert "${beta}" == found.values["data"]["variance"]
    assert [1, 1, "${seed}"] == found.values["data"]["score_every"]


def test_swept_folders_have_no_content_in_common() -> None:
    """The images' hash goes, and all else stays."""
    found = Composition({"beta": 4, "data": {"path": "/a", "content": "12ab"}}, {})

    assert {"beta": 4, "data": {"path": "/a"}} == without_content(found).values


def test_swept_folders_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers may start elsewhere; other axes stay as they are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/her")
    axes: Mapping[str, list[object]] = {"data.path": ["a", "~/b", "/c"], "beta": [1, 4]}

    expected = [str(tmp_path / "a"), "/home/her/b", "/c"]
    assert {"data.path": expected, "beta": [1, 4]} == absolute(axes)
