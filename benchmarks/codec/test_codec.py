"""Times of both codecs and of pamqp; `summarise.py` puts them side by side."""

from typing import Any

import pytest
from engines import PROPERTY_SETS, Engine, engines
from work import BATCH, WORK

ENGINES = engines()


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", WORK)
def test_codec(benchmark: Any, name: str, engine: Engine) -> None:
    benchmark.group = name
    benchmark.extra_info.update(work=name, engine=engine.name, batch=BATCH)
    benchmark(WORK[name].task(engine))


@pytest.mark.parametrize("count", PROPERTY_SETS)
def test_every_engine_does_the_same_work(count: int) -> None:
    published = set()
    for engine in ENGINES:
        out: list[Any] = []
        engine.publish(out, engine.properties(PROPERTY_SETS[count]), b"body")
        published.add(b"".join(out))
    assert len(published) == 1
