"""UDR of a study's trials, from the codes they have stored: how well seeds agree.

It is a score like any other, but not a trial's own: a seed that comes later changes the others'.
So it stands in `udr.json` of the study's folder, from where the table of trials takes it. `refresh`
computes what is new or has changed, a fraction of a second a configuration, and loads no torch.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bvae.files import write_atomically
from bvae.metrics.udr import Posteriors, udr
from bvae.records import fits
from sweeps.study.folder import StudyFolder
from sweeps.study.study import Study, open_study

SCHEMA = 1
"""Version of `udr.json`; it is computed anew where another one stands."""

Stamp = list[int]
"""Size and time of a file of codes: another one holds other codes."""


def refresh(study: Study) -> Study:
    """Bring `udr.json` up to date with the complete trials; return the study as it then stands."""
    known = {
        _key(configuration["codes"]): configuration for configuration in _known(study.folder.udr)
    }
    configurations = [
        known.get(_key(codes)) or _configuration(study.folder, codes)
        for codes in _comparable(study)
    ]
    if {_key(configuration["codes"]) for configuration in configurations} == set(known):
        return study
    content = {"schema": SCHEMA, "cells": configurations}
    write_atomically(study.folder.udr, json.dumps(content, indent=1))
    return open_study(study.folder.root)


def stored(study: Study) -> Mapping[str, Mapping[str, float]]:
    """Return the UDR of the trials whose configuration has other seeds, by slug."""
    known = _known(study.folder.udr)
    return {
        slug: scores for configuration in known for slug, scores in configuration["scores"].items()
    }


def _comparable(study: Study) -> list[dict[str, Stamp]]:
    """The stored codes of every configuration of which two or more seeds have some, by slug."""
    configurations: dict[object, dict[str, Stamp]] = {}
    for trial in study.trials:
        if study.states[trial.slug] != "complete":
            continue
        try:
            stat = study.folder.trial(trial.slug).codes.stat()
        except OSError:  # thrown away; the other seeds can be compared without
            continue
        configurations.setdefault(trial.configuration, {})[trial.slug] = [
            stat.st_size,
            stat.st_mtime_ns,
        ]
    return [codes for codes in configurations.values() if len(codes) > 1]


def _known(path: Path) -> list[dict[str, Any]]:
    """What is on disk; nothing where the file is missing, damaged or of another schema."""
    try:
        content = json.loads(path.read_text("utf-8"))
        configurations: list[dict[str, Any]] = (
            content["cells"] if content["schema"] == SCHEMA else []
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return (
        configurations
        if fits(configurations, list[dict[str, Any]]) and all(map(_is_whole, configurations))
        else []
    )


def _is_whole(configuration: Mapping[str, Any]) -> bool:
    codes, scores = configuration.get("codes"), configuration.get("scores")
    return fits(codes, Mapping[str, Stamp]) and fits(scores, Mapping[str, Mapping[str, float]])


def _key(codes: Mapping[str, Sequence[int]]) -> frozenset[tuple[str, tuple[int, ...]]]:
    return frozenset((slug, tuple(stamp)) for slug, stamp in codes.items())


def _configuration(folder: StudyFolder, codes: Mapping[str, Stamp]) -> dict[str, Any]:
    """One entry of `udr.json`: codes that cannot be read, or of other images, are left out."""
    rows: list[int] | None = None
    models: dict[str, Posteriors] = {}
    for slug in codes:
        read = _read(folder.trial(slug).codes)
        if read is None:
            continue
        rows = rows or read[0]
        if read[0] == rows:
            models[slug] = read[1]
    scores = udr(list(models.values())) if len(models) > 1 else []
    return {"codes": codes, "scores": dict(zip(models, scores, strict=bool(scores)))}


def _read(path: Path) -> tuple[list[int], Posteriors] | None:
    """The rows of the images, and their codes by one model."""
    try:
        with np.load(path, allow_pickle=False) as file:
            mu, logvar = (file[name].astype(np.float32) for name in ("mu", "logvar"))
            return file["rows"].tolist(), Posteriors(mu, logvar)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
