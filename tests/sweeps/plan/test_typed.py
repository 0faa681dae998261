"""Command lines, read as Hydra reads them."""

import re
from pathlib import Path

import pytest

from bvae import config
from bvae.exceptions import ConfigError
from sweeps.plan.typed import read


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to type in, with files of one's own in my/."""
    for name in ("experiment/mine", "experiment/sub/deep", "schedule/long"):
        path = tmp_path / "my" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("beta: 2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestFolders:
    @pytest.mark.parametrize("flag", ["--config-dir my", "-cd my", "--config-dir=my"])
    def test_a_folder_of_ones_own(self, here: Path, flag: str) -> None:
        """However it is typed, it is kept absolute, and may be typed elsewhere."""
        found = read([*flag.split(), "-m", "experiment=mine"])

        assert ["-m", f"--config-dir={here}/my", "experiment=mine"] == found.arguments
        assert [f"file://{here}/my"] == found.folders

    @pytest.mark.parametrize("folder", ["file://my", "my", "'file://my'"])
    def test_hydras_search_path(self, here: Path, folder: str) -> None:
        """Its folders are absolute, too; packages are left as they are."""
        found = read([f"hydra.searchpath=[{folder},pkg://benchmarks]", "beta=1"])

        (line, _) = found.overrides
        assert f'hydra.searchpath=["file://{here}/my","pkg://benchmarks"]' == line
        assert [f"file://{here}/my", "pkg://benchmarks"] == found.folders

    def test_the_home(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A command that is printed has it as ~, which is understood when typed again."""
        monkeypatch.setenv("HOME", str(here))

        assert [f"file://{here}/my"] == read(["--config-dir=~/my"]).folders
        assert [f"file://{here}/my"] == read(["hydra.searchpath=['file://~/my']"]).folders

    @pytest.mark.parametrize(
        "arguments",
        [["--config-dir", "my"], ["hydra.searchpath=[my]"]],
    )
    def test_own_names_stand_beside_ours(self, here: Path, arguments: list[str]) -> None:
        """Those in folders below a group, too, and groups of their own."""
        groups = read(arguments).groups
        known = config.groups()

        assert sorted([*known["experiment"], "mine", "sub/deep"]) == sorted(groups["experiment"])
        assert ["long"] == groups["schedule"]
        assert {**known, "experiment": 0, "schedule": 0} == (
            {**groups, "experiment": 0, "schedule": 0}
        )

    def test_without_folders_the_names_are_ours(self) -> None:
        """As the files of the configuration say."""
        assert config.groups() == read(["beta=1"]).groups

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--config-dir", "nowhere"], "--config-dir: no such folder: nowhere"),
            (["hydra.searchpath=[file://nowhere]"], "hydra.searchpath: no such folder: nowhere"),
            (["hydra.searchpath=my"], "hydra.searchpath: expected a list of folders"),
        ],
    )
    def test_mistakes(self, here: Path, arguments: list[str], message: str) -> None:
        """A folder that is not there is no empty one."""
        with pytest.raises(ConfigError, match=re.escape(message)):
            read(arguments)


class TestFlags:
    def test_overrides_may_stand_anywhere(self) -> None:
        """Before and after flags, which Hydra's own main does not take."""
        assert ["-m", "beta=1", "seed=1"] == read(["beta=1", "-m", "seed=1"]).arguments

    @pytest.mark.parametrize(
        ("arguments", "handed_on"),
        [
            (["-m", "--cfg", "job", "beta=1"], ["--cfg=job", "beta=1"]),
            (["--info", "-m"], ["--info=all"]),
            (
                ["-c", "all", "--resolve", "-p", "data"],
                ["--cfg=all", "--resolve", "--package=data"],
            ),
        ],
    )
    def test_what_is_shown_is_of_one_run(self, arguments: list[str], handed_on: list[str]) -> None:
        """With -m, too, which Hydra would refuse."""
        assert sorted(handed_on) == sorted(read(arguments).arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--bogus"], "unrecognized arguments: --bogus"),
            (["--cfg", "jobs"], "argument --cfg/-c: invalid choice: 'jobs'"),
            (["--run", "-m"], "--run and --multirun: exclude each other"),
            (["--resolve", "beta=1"], "--resolve: goes with --cfg"),
            (["-m", "--cfg", "job", "beta=1,4"], "beta=1,4: --cfg and --info show the config"),
            (["--config-path", "x"], "--config-path: would replace the configuration"),
        ],
    )
    def test_mistakes(self, arguments: list[str], message: str) -> None:
        """One sentence each."""
        with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
            read(arguments)

    def test_the_version_is_ours(self, capsys: pytest.CaptureFixture[str]) -> None:
        """With those of Python and torch, which is not imported for it."""
        with pytest.raises(SystemExit, match="0"):
            read(["--version"])

        said = capsys.readouterr().out
        assert re.fullmatch(r"bvae-sweeps \d\S* \(Python \d\S*, torch \d\S*\)\n", said)
