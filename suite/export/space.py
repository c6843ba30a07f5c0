"""A page around 'detect' for a Gradio Space, from an exported folder."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any

import cv2

from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.file_names import format_name
from suite.__main__ import VERSION
from suite.detect.analyzer import Analyzer, DetectSettings, introduce
from suite.detect.command import format_verdict
from suite.detect.pipeline import Limits

APP, REQUIREMENTS = "app.py", "requirements.txt"  # in the folder
SOURCE = '''"""A detector of face forgeries as a page: upload an image or a video."""

from pathlib import Path

from suite.export.space import create_app

app = create_app(Path(__file__).parent)

if __name__ == "__main__":
    app.launch()
'''
NEEDED = f"""# the suite is in no index: put its wheel beside this file (pip wheel --no-deps . in the clone)
./deepfake_suite-{VERSION}-py3-none-any.whl
"""
LONGEST = 120.0  # seconds of a video that a Space takes
KEPT = 3600  # seconds that an upload and what was made of it are kept
NOTE = (
    "A probability is no proof. A face unlike those that the detector was trained on, too small or too blurred gets no "
    "verdict."
)


def write_app(folder: Path) -> None:
    """Beside the exported method."""
    write_text(folder / APP, SOURCE)
    write_text(folder / REQUIREMENTS, NEEDED)


def create_app(model: Path, settings: DetectSettings | None = None) -> Any:
    """
    Args:
        model: An exported folder, a run or a checkpoint.
        settings: Those of 'detect'; videos of up to two minutes without them.

    Returns:
        gradio.Blocks
    """
    import gradio

    work = TemporaryDirectory(prefix="suite_space_")  # for as long as the app
    analyzer = Analyzer([model], settings or DetectSettings(limits=Limits(seconds=LONGEST)))

    def examine(file: str | None) -> tuple[str, str | None, str | None, str | None]:
        """Verdict, annotated image, annotated video, page."""
        if file is None:
            raise gradio.Error("upload an image or a video first")
        path, out = Path(file), Path(work.name, "out")
        rmtree(out, ignore_errors=True)  # what was shown of the file before is gradio's copy, which it deletes
        out.mkdir()
        try:
            document = analyzer.analyze(path, out, annotated_copy=True, progress=lambda *_: None)
        except (UserError, OSError, ArithmeticError, MemoryError, cv2.error) as error:
            said = str(error) or type(error).__name__
            raise gradio.Error(said.replace(str(path), format_name(path.name))) from error
        made = {kind: str(out / name) for kind, name in document.files.items()}
        return format_verdict(document), made.get("image"), made.get("video"), made.get("page")

    with gradio.Blocks(title="Face forgery detection", delete_cache=(KEPT, KEPT)) as app:
        gradio.Markdown("\n\n".join(["# Face forgery detection", *introduce(analyzer.methods, analyzer.rates), NOTE]))
        file = gradio.File(label="Image or video", file_types=["image", "video"], type="filepath")
        button = gradio.Button("Examine", variant="primary")
        verdict = gradio.Textbox(label="Verdict", interactive=False)
        image = gradio.Image(label="Annotated image", type="filepath", interactive=False)
        video = gradio.Video(label="Annotated video", interactive=False)
        report = gradio.File(label="Report: why, frame by frame", interactive=False)
        button.click(examine, file, [verdict, image, video, report], concurrency_limit=1)
    return app
