from pathlib import Path
from typing import Any

from sweeps.study.run_names import identity, report_identity
from sweeps.study.study import Study
from sweeps.study.trials import grid
from tests.doubles.studies import make_study


class TestIdentity:
    def test_a_name_for_people_and_an_id_of_its_own(self, study: Study) -> None:
        """The id is the same for each attempt, and no other study has it."""
        manifest, trial = study.manifest, study.trials[0]
        other = make_study(study.folder.root, study_id="1" * 32).manifest

        found = identity(manifest, trial)
        assert ("tested", "b1-m5-s0") == (found.study, found.name)
        assert ("dsprites32", "mlp", "fast") == found.tags
        assert found == identity(manifest, trial)
        assert found.run_id != identity(other, trial).run_id
        assert found.run_id != identity(manifest, study.trials[1]).run_id

    def test_further_axes_are_in_the_name(self, tmp_path: Path) -> None:
        """Runs that differ in them only are told apart."""
        values: dict[str, Any] = {"beta": [0.5], "latent_dim": [2], "seed": [0]}
        (trial,) = grid(values | {"optimizer.lr": [1e-4]})[0]
        study = make_study(tmp_path / "tested", [trial], axes=["optimizer.lr"])

        assert "b0.5-m2-s0-optimizer.lr=0.0001" == identity(study.manifest, trial).name


def test_the_report_is_a_run_of_its_own(study: Study) -> None:
    """In the same group, told apart by its job type, one for each study."""
    found = report_identity(study.manifest)

    assert ("tested", "tested-report", "sweep-report") == (found.study, found.name, found.job_type)
    ids = {identity(study.manifest, trial).run_id for trial in study.trials}
    assert found.run_id not in ids
    other = make_study(study.folder.root, study_id="1" * 32).manifest
    assert found.run_id != report_identity(other).run_id
