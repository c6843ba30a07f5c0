"""The verb that lets people draw the masks that a training asks for, in Label Studio or in any image editor."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from jsonargparse import auto_cli
from jsonargparse.typing import SecretStr
from numpy.typing import NDArray

from datamodules.annotation.label_studio import CONFIG, Task, create_task, enlarge, read_export, write_image
from datamodules.annotation.request import Request, read_request
from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from datamodules.runtime.stored_files import read_json, show
from suite.annotate.client import Gone, LabelStudio
from suite.cli.parser import Parser
from suite.cli.suggest import suggest_file

TOKEN = "LABEL_STUDIO_TOKEN"


def read_image(path: Path, flags: int = cv2.IMREAD_COLOR) -> NDArray[np.uint8]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; 'fit' writes it when it asks for masks")
    found = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    if found is None:
        raise UserError(f"{path}: is not an image")
    return np.asarray(found if found.ndim == 2 else found[..., ::-1], np.uint8)


def create_tasks(run: Path, request: Request, out: Path | None = None) -> list[Task]:
    """One for each face; their images in ``out``, or in the tasks themselves."""
    made = []
    for face, score in zip(request.faces, request.scores, strict=True):
        shown, found = enlarge(read_image(run / "request/faces" / face.file)), run / "request/found" / face.file
        where = enlarge(read_image(found, cv2.IMREAD_GRAYSCALE)) if found.is_file() else None
        if out is None:
            made.append(create_task(face, score, shown, where))
            continue
        write_image(out / "images" / face.file, shown)
        made.append(create_task(face, score, shown, where, f"/data/local-files/?d={quote(f'images/{face.file}')}"))
    return made


def export(run: Path, out: Path | None = None, inline: bool = True) -> None:
    """Write the faces as a project of Label Studio: tasks.json to import, config.xml to label with.

    Args:
        run: Folder of a training that asked for masks.
        out: Folder to write; RUN/annotate without it.
        inline: Put the images into the tasks, which any server then shows; else into a folder that a server must be
            told of (LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED, with OUT as its root).
    """
    request, folder = read_request(run), out or run / "annotate"
    with hold_folder(folder, "annotate export"):
        made = create_tasks(run, request, None if inline else folder)
        write_text(folder / "tasks.json", json.dumps([one.to_json() for one in made]))
        write_text(folder / "config.xml", CONFIG)
    print(f"{folder}: {len(made)} faces; import tasks.json into a project with config.xml as its labelling interface")


def receive(exported: Any, run: Path) -> None:
    request = read_request(run)
    masks = read_export(exported, request)
    removed = []
    with hold_folder(run / "masks", "annotate"):
        for face, mask in masks.items():
            path = run / "masks" / face.file
            if mask is not None:
                write_image(path, mask)
            elif path.is_file():  # a training would go on with what its person took back
                path.unlink()
                removed.append(face.file)
    missing = [face for face in request.faces if not (run / "masks" / face.file).is_file()]
    if removed:
        what = f"{len(removed)} removed, since erased or cancelled: {', '.join(removed[:3])}"
        print(f"{run / 'masks'}: {what}{', ...' if len(removed) > 3 else ''}")
    said = f"{run / 'masks'}: {len(request.faces) - len(missing)} of {len(request.faces)} masks"
    print(said + (f"; missing, the first of them: {', '.join(face.file for face in missing[:3])}" if missing else ""))


def import_masks(file: Path, run: Path) -> None:
    """Read what people have drawn, from an export of Label Studio in the format JSON.

    Args:
        file: The export.
        run: Folder of the training that asked; masks go into RUN/masks, for '--data.oracle.folder'.
    """
    if not file.is_file():
        raise UserError(f"{file}: no such file" + suggest_file(str(file)))
    exported = read_json(file, list, "; export it from Label Studio in the format JSON")
    try:
        receive(exported, run)
    except UserError as error:
        raise error if str(run) in str(error) else UserError(f"{file}: {error}") from error


def server(url: str, token: SecretStr | None) -> LabelStudio:
    given = token.get_secret_value() if token else os.environ.get(TOKEN)
    if not given:
        raise UserError(f"token: give --token, or better set {TOKEN}, which other users of the machine do not see")
    return LabelStudio(url, given)


def push(run: Path, url: str, token: SecretStr | None = None, title: str | None = None) -> None:
    """Make a project of the faces on a running Label Studio.

    Args:
        run: Folder of a training that asked for masks.
        url: Of the server, for instance http://localhost:8080.
        token: Of your account there; LABEL_STUDIO_TOKEN without it. It is written nowhere.
        title: Of the project; the name of the run without it.
    """
    request = read_request(run)
    tasks = [one.to_json() for one in create_tasks(run, request)]
    with hold_folder(run / "annotate", "annotate push"):
        file = run / "annotate.json"
        earlier = read_projects(file) if file.is_file() else []
        number = server(url, token).push(title or run.name, CONFIG, tasks)
        write_text(file, json.dumps({"project": number, "earlier": earlier}) + "\n")
    print(f"{url.rstrip('/')}/projects/{number}: {len(request.faces)} faces; 'annotate pull' fetches what was drawn")


def read_projects(file: Path) -> list[int]:
    """Those that were made of a run, the last one last: what was drawn in an earlier one counts, too."""
    content = read_json(file, dict)
    earlier = content.get("earlier", [])
    projects = [*(earlier if isinstance(earlier, list) else [earlier]), content.get("project")]
    for project in projects:
        if type(project) is not int or project < 1:
            raise UserError(f"{file}: project {show(project)}: must be a number; remove the file and push again")
    return projects


def pull(run: Path, url: str, token: SecretStr | None = None) -> None:
    """Fetch what was drawn so far.

    Args:
        run: Folder of a training whose faces were pushed.
        url: Of the server that they were pushed to.
        token: Of your account there; LABEL_STUDIO_TOKEN without it.
    """
    file = run / "annotate.json"
    if not file.is_file():
        raise UserError(f"{file}: no such file; run 'annotate push' first")
    *earlier, last = read_projects(file)
    studio = server(url, token)
    exported = []
    for project in earlier:
        with suppress(Gone):  # it was removed since
            exported += studio.pull(project)
    receive([*exported, *studio.pull(last)], run)


def main(argv: list[str]) -> None:
    verbs: Any = {"export": export, "import": import_masks, "push": push, "pull": pull}
    auto_cli(verbs, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite annotate")
