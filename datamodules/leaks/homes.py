"""Whose people a data set shows: some show those of another one, under the same names."""

from __future__ import annotations

import re

# FF++'s clips 000 to 999, and the actors' scenes of DFD that come with it
FFPP = ("ffpp", "faceshifter", "deeperforensics", "dfd", "synth_forensics", "df40 ff")
CELEB_DF = ("celeb_df_v2", "celeb_df_pp", "dfdm", "df40 cdf")
VOXCELEB2 = ("fakeavceleb", "av_deepfake1m", "av_deepfake1m_pp")
HOMES = {name: home for home, names in (("ffpp", FFPP), ("celeb_df", CELEB_DF), ("vox", VOXCELEB2)) for name in names}
OF_FFPP = re.compile(r"\d{3}|(?:\d\d__.+)")  # of what DFD calls 01, FF++ knows nothing


def name_person(dataset: str, compression: str, identity: str, people: str | None = None) -> str:
    """An identity with the home of its name: only then may the same name mean the same person elsewhere.

    Args:
        people: Whose people these are, where somebody has said so.
    """
    home = people or HOMES.get(f"{dataset} {compression}") or HOMES.get(dataset) or dataset
    if home == "ffpp" and people is None and not OF_FFPP.fullmatch(identity):
        home = dataset
    return f"{home}/{identity}"
