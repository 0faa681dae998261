import re
from functools import partial

import pytest

from bvae import config
from bvae.exceptions import ConfigError
from sweeps.plan import overrides, words
from sweeps.plan.overrides import parse
from sweeps.search.space import Interval

GROUPS = config.groups()
check = partial(overrides.check, groups=GROUPS)
split = partial(overrides.split, groups=GROUPS)


class TestCheck:
    @pytest.mark.parametrize(
        "line",
        [
            "beta=1,4,16",
            "beta=range(1,4)",
            "model=mlp,conv",
            "model=glob(*)",
            "experiment=quick",
            "experiment=null",
            "data.path='/a=b/c.npz'",
            "optimizer.lr=1e-4,1e-3",
            "data.score_every=[1,1,1,2,2]",
            "hydra/launcher=basic",
            "hydra.sweeper.n_workers=2",
            "+hydra.launcher.extra=1",
        ],
    )
    def test_what_may_be_typed(self, line: str) -> None:
        """Values and sweeps of known keys pass, and Hydra's own keys are left to Hydra."""
        with pytest.raises(ConfigError, match=r"^betta: ") as raised:
            check([line, "betta=4"])
        assert 1 == len(str(raised.value).splitlines())

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("betta=4", "betta: no such key; did you mean beta?"),
            ("model=cnov", "model=cnov: no such model; did you mean conv?"),
            ("experiment=quik", "experiment=quik: no such experiment; did you mean quick?"),
            ("beta=0", "beta: expected a finite number above 0, at most 1e+30, but got 0"),
            ("beta=nan", "beta: expected a finite number above 0"),
            ("latent_dim=4.5", "latent_dim: expected an integer of at least 1, but got 4.5"),
            ("beta=", "beta: an empty value; write beta=value"),
            ("beta=1,,4", "beta=1,,4: not an override; write key=value"),
            ("+new=1", "keys are neither added nor removed; known: "),
            ("+beta=1", "keys are neither added nor removed; write beta=value"),
            ("~beta", "keys are neither added nor removed"),
            ("study=a,b", "study: cannot be swept"),
            ("runs_dir=a,b", "runs_dir: cannot be swept"),
            ("experiment=quick,quick", "experiment: cannot be swept"),
            (
                "beta=interval(0,2)",
                "beta: expected a finite number above 0, at most 1e+30, but got 0",
            ),
            ("beta=interval(2,1)", "expected the lower end first, and a higher one"),
            ("latent_dim=interval(1.5,9)", "latent_dim: expected an integer of at least 1"),
            ("seed=interval(0,9)", "a search needs the seeds"),
            ("model=interval(0,9)", "a name is chosen among values; give model=a,b"),
            ("beta=glob(*)", "matches no choice of a config group"),
            ("++loss.options={a:1},{a:2}", "loss.options: a mapping cannot be swept"),
            ("data.source=my.load", "expected a class or function, as in data.source._target_=my"),
            ("hydra={sweeper: {n_workers: 1}}", "write each key whole, as in hydra.sweeper.n"),
            ("scores=my.score", "as in scores.my_score._target_=my_module.name, but got"),
        ],
    )
    def test_mistakes(self, line: str, message: str) -> None:
        """Every mistake is named, with the nearest valid name or what is expected."""
        with pytest.raises(ConfigError, match=re.escape(message)):
            check([line])

    def test_a_misspelt_key_of_the_sweeper(self) -> None:
        """Hydra would say how to add it."""
        with pytest.raises(ConfigError, match=r"no such key; did you mean .*sweeper\.max_minutes"):
            check(["hydra.sweeper.max_minute=30"])
        check(["hydra.sweeper.params.beta=1", "hydra.sweeper.sampler._target_=a.B"])

    def test_all_mistakes_come_at_once(self) -> None:
        """Mistakes of several overrides are told together, each once."""
        with pytest.raises(ConfigError, match="betta") as raised:
            check(["betta=4", "latent_dim=0,0", "beta=interval(2,1)", "seed=-1"])

        assert 4 == len(str(raised.value).splitlines())


class TestHabits:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("logger=wandb", "logger: no such key here; write tracker=wandb"),
            ("ckpt_path=last.ckpt", "type the same command again"),
            ("debug=fdr", "hydra.sweeper.dry_run=true"),
            ("trainer.max_epochs=3", "write trainer.max_steps=2000"),
            ("trainer.accelerator=ddp", "expected one of auto, cpu, gpu, cuda, mps, but got"),
        ],
    )
    def test_what_to_write_here(self, line: str, message: str) -> None:
        """A key of lightning-hydra-template is answered with what stands for it here."""
        with pytest.raises(ConfigError, match=re.escape(message)):
            check([line])

    def test_no_habit_is_a_key_or_a_group_of_ours(self) -> None:
        """What works needs no sentence."""
        assert not overrides.HABITS.keys() & {*config.keys(), *GROUPS}

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("trainer=gpu", "trainer.accelerator=gpu"),
            ("trainer=cpu,gpu", "trainer.accelerator=cpu,gpu"),
            ("trainer={max_steps: 3}", "trainer={max_steps: 3}"),
            ("path=a=b", "data.path=a=b"),
            ("path={a}", "data.path={a}"),
            ("data.source={_target_: my.load}", "++data.source={_target_: my.load}"),
            ("scores={}", "++scores={}"),
            ("trainer.max_steps=3", "trainer.max_steps=3"),
        ],
    )
    def test_short_forms(self, line: str, expected: str) -> None:
        """They are written out, values as they are; other keys stay."""
        assert [expected] == words.short_forms_written_out([line])

    def test_a_part_is_typed_as_a_mapping(self) -> None:
        """Its keys are new ones, and it is none that others are added to."""
        check(words.short_forms_written_out(["scores={a: {_target_: my.a}}", "scores={}"]))

        assert {"b": {}} == config.typed("scores", {"b": {}})


class TestOwnGroups:
    OWN = GROUPS | {"schedule": ["long", "sub/short"], "experiment": ["mine", "quick"]}

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("experiment=mien", "experiment=mien: no such experiment; did you mean mine?"),
            ("+schedule=lnog", "schedule=lnog: no such schedule; did you mean long?"),
            ("+schedule=long,sub/short", "a group that is added cannot be swept; sweep its keys"),
            ("+model=mlp", "keys are neither added nor removed; write model=value"),
            ("~schedule", "keys are neither added nor removed"),
        ],
    )
    def test_mistakes(self, line: str, message: str) -> None:
        """Names are checked against the user's own files, too; only such groups are added."""
        with pytest.raises(ConfigError, match=re.escape(message)):
            overrides.check([line], groups=self.OWN)

    def test_they_are_found(self) -> None:
        """Own names are typed as ours are, and a whole group by its pattern."""
        lines = ["experiment=mine", "+schedule=sub/short", "model=glob(m*)"]
        overrides.check(lines, groups=self.OWN)

        found = overrides.split(lines, params={}, groups=self.OWN)
        assert ["experiment=mine", "+schedule=sub/short"] == found.fixed
        assert {"model": ["mlp"]} == found.axes


class TestInterpolations:
    @pytest.mark.parametrize("order", [1, -1])
    def test_a_fixed_value_may_be_one(self, order: int) -> None:
        """It is checked for each trial, wherever in the command it stands."""
        check(["beta=1,4", "optimizer.lr=${beta}"][::order])

    @pytest.mark.parametrize("line", ["seed=${latent_dim}", "optimizer.lr=1e-3,${beta}"])
    def test_a_swept_value_depends_on_no_key(self, line: str) -> None:
        """Trials are named after it."""
        with pytest.raises(ConfigError, match=r"^(seed|optimizer\.lr): .*\$\{(latent_dim|beta)\}"):
            check(["latent_dim=2,5", "beta=1,4", line])

    def test_a_swept_value_may_come_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then it is known at once."""
        monkeypatch.setenv("A_SEED", "3")

        assert {"seed": [3]} == split(["seed=${oc.env:A_SEED}"], params={}).axes


class TestElements:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("beta=4", [4]),
            ("beta=1,4", [1, 4]),
            ("beta=range(1,4)", [1, 2, 3]),
            ("beta=choice(1,4)", [1, 4]),
            ("model=mlp,conv", ["mlp", "conv"]),
            ("model=glob(*)", ["conv", "higgins", "mlp"]),
            ("model=glob(*,exclude=h*)", ["conv", "mlp"]),
            ("data.path=null,a", [None, "a"]),
        ],
    )
    def test_a_sweep_is_written_out(self, line: str, expected: list[object]) -> None:
        """Every way Hydra has to sweep over values gives these values."""
        assert expected == overrides.elements(parse([line])[0], groups=GROUPS)


class TestSplit:
    def test_coordinates_are_axes_also_with_one_value(self) -> None:
        """β, latent size and seed are axes; another key is one when it is swept."""
        found = split(["beta=4", "optimizer.lr=1e-4,1e-3", "trainer.max_steps=10"], params={})

        assert {"beta": [4.0], "optimizer.lr": [1e-4, 1e-3]} == found.axes
        assert ["trainer.max_steps=10"] == found.fixed

    def test_typed_values_beat_params(self) -> None:
        """The sweeper's params fill in what was not typed."""
        found = split(["beta=2"], params={"beta": "1,4", "seed": "0,1"})

        assert {"beta": [2.0], "seed": [0, 1]} == found.axes

    def test_params_are_checked_like_typed_overrides(self) -> None:
        """A wrong key in params is no less a mistake."""
        with pytest.raises(ConfigError, match="betta: no such key"):
            split([], params={"betta": "1,4"})

    def test_values_have_the_type_of_their_key(self) -> None:
        """A quoted number is the number: '1' and 1.0 are one β."""
        assert {"beta": [1.0, 1.0]} == split(["beta='1',1.0"], params={}).axes

    def test_intervals_are_searched(self) -> None:
        """β and latent size on a logarithmic scale, other keys if tagged; integers stay such."""
        found = split(
            [
                "beta=interval(1,64)",
                "latent_dim=interval(2,20)",
                "optimizer.lr=tag(log,interval(1e-4,1e-2))",
                "data.variance=interval(0.05,0.5)",
            ],
            params={"seed": "0,1", "beta": "1,4"},
        )

        assert {
            "beta": Interval(1, 64, log=True),
            "latent_dim": Interval(2, 20, log=True, integer=True),
            "optimizer.lr": Interval(1e-4, 1e-2, log=True),
            "data.variance": Interval(0.05, 0.5),
        } == found.intervals
        assert {"seed": [0, 1]} == found.axes
        assert ["optimizer.lr", "data.variance"] == found.further

    def test_hydra_overrides_are_left_out(self) -> None:
        """What is Hydra's is no part of the task."""
        found = split(["hydra.sweeper.n_workers=2", "hydra/launcher=basic"], params={})

        assert ([], {}) == (found.fixed, found.axes)


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("", "leave the empty argument out"),
        ("quick", "did you mean experiment=quick?"),
        (
            "tracker.tags=[β, lab]",
            """a text with such characters goes in quotes: 'tracker.tags=["β",lab]'""",
        ),
        (
            "experiment=größe",
            """a text with such characters goes in quotes: 'experiment="größe"'""",
        ),
        ("loss.note=β", """a text with such characters goes in quotes: 'loss.note="β"'"""),
        ("threads=${oc.decode:${oc.env:N}}", "a text with such characters goes in quotes: "),
        ("beta=1,,4", "write key=value or key=value1,value2"),
    ],
)
def test_advice_is_for_what_was_typed(typed: str, advice: str) -> None:
    """A name of a group's choice, a text without quotes, or neither."""
    with pytest.raises(ConfigError, match=re.escape(f"not an override; {advice}")):
        parse([typed])


@pytest.mark.parametrize(
    "typed", ["hydra.run.dir=foo", "hydra.job.chdir=true", "hydra/sweeper=basic"]
)
def test_what_hydra_would_do_beside_the_study_is_refused(typed: str) -> None:
    """Before it has made a folder."""
    with pytest.raises(ConfigError, match="not for this program"):
        check([typed])
    check(["hydra/sweeper=bvae"])


def test_advice_does_not_go_in_a_circle() -> None:
    """A key that is added is known, or it is not."""
    with pytest.raises(ConfigError, match="keys are neither added nor removed; known: "):
        check(["+foo=1"])


def test_whole_numbers_are_integers() -> None:
    """However they are written."""
    check(["trainer.max_steps=1e3", "latent_dim=2.0"])
    with pytest.raises(ConfigError, match=r"expected an integer of at least 1, but got 2\.5"):
        check(["latent_dim=2.5"])


@pytest.mark.parametrize("typed", ["seed=${now:%H}", "beta=1,${now:%d}"])
def test_no_trial_is_named_after_the_time(typed: str) -> None:
    """It would be another one whenever the command is typed."""
    with pytest.raises(ConfigError, match="is another value whenever the command is typed"):
        check([typed])
