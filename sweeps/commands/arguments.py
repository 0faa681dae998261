"""Arguments that several commands take: a study, a second one, a trial, JSON."""

import argparse

from bvae.files import expanded


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the study that the command is about."""
    parser.add_argument("study", type=expanded, metavar="DIR", help="a study's folder")


def add_second_study(parser: argparse.ArgumentParser) -> None:
    """Add the folder of a study beside the first."""
    parser.add_argument("other", type=expanded, metavar="DIR", nargs="?", help="a second study")


def add_trial(parser: argparse.ArgumentParser) -> None:
    """Add the name of a trial of the study."""
    parser.add_argument("trial", help="a trial's name, or enough of it to be the only one")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the choice of output for programs."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
