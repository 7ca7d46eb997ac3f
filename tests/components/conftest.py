"""Fixtures for the steps that read evaluations."""

import json

import pytest

from components.evaluate.record import PREDICTIONS, Evaluation, Lineage, Speed


@pytest.fixture
def write_evaluation():
    """A function that writes an evaluation folder with one value of the primary metric a row."""

    def write(
        folder, values, task="refcoco", metric="Acc@0.5", data="d" * 64, checkpoint="c" * 64, baseline=0.1,
        bad_rows=0, megabytes=10.0, latency=20.0,
    ):  # fmt: skip
        score = sum(values) / len(values)
        Evaluation(
            task=task,
            metric=metric,
            scores={metric: score},
            interval=(score, score),
            baseline={"constant_box": {metric: baseline}},
            rows=len(values),
            bad_rows=bad_rows,
            speed=Speed(seconds=1.0, samples_per_second=9.0, latency_ms_p50=latency / 2, latency_ms_p95=latency),
            lineage=Lineage(
                checkpoint="model",
                checkpoint_sha256=checkpoint,
                checkpoint_bytes=int(megabytes * 1e6),
                table=["table.tsv"],
                table_sha256=data,
                table_dvc=None,
                git_commit=None,
                params_sha256=None,
                settings={},
                search={},
                versions={},
            ),
        ).save(folder)
        rows = [
            {
                "uniq_id": str(i),
                "image_id": str(i // 2),
                "row": i,
                "prompt": f"expression {i}",
                "prediction": [0, 0, 1, 1],
                "score": -0.5,
                "references": [[0, 0, 2, 2]],
                "measures": {metric: value},
            }
            for i, value in enumerate(values)
        ]
        (folder / PREDICTIONS).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(folder)

    return write
